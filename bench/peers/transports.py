"""Calls between the tiers by http.client and urllib3, to compare them with the sockets of `TierClient`.

They do not repeat a request whose kept connection has ended, and they send no TIER_SECRET: the store that is measured
has none.
"""

from collections.abc import Mapping, Sequence
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Any

import urllib3

from conf.wiring import create_front_end_app, create_order_app
from wsgi_apps.tier_addresses import TierAddress
from wsgi_apps.tier_client import Answer, Decode, NoAnswer, TierClient

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

_JSON = {"Content-Type": "application/json"}


class OnHttpClient(TierClient):
    """Calls by http.client, and keeps its connections as `TierClient` keeps its own."""

    def __init__(self, name: str, addresses: Sequence[tuple[str, int]], **options: Any) -> None:
        super().__init__(name, addresses, **options)
        [(host, port)] = addresses
        self._place = host, port
        self._kept: list[HTTPConnection] = []

    def ask_once(
        self,
        _address: TierAddress,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout_s: float,
        decode: Decode,
    ) -> Answer | NoAnswer:
        try:
            connection = self._kept.pop()
        except IndexError:
            connection = HTTPConnection(*self._place, timeout=timeout_s)
        try:
            if connection.sock is not None:
                connection.sock.settimeout(timeout_s)
            connection.request(method, path, body, {**headers, **(_JSON if body is not None else {})})
            response = connection.getresponse()
            data = response.read()
            if not response.will_close:
                self._kept.append(connection)
            return Answer(response.status, decode(response.status, response.getheader("Content-Type"), data))
        except (HTTPException, OSError, ValueError):
            connection.close()
            return NoAnswer()


class OnUrllib3(TierClient):
    """Calls by urllib3's pool of connections to one host, without its retries."""

    def __init__(self, name: str, addresses: Sequence[tuple[str, int]], **options: Any) -> None:
        super().__init__(name, addresses, **options)
        [(host, port)] = addresses
        self._pool = urllib3.HTTPConnectionPool(host, port, maxsize=64)

    def ask_once(
        self,
        _address: TierAddress,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout_s: float,
        decode: Decode,
    ) -> Answer | NoAnswer:
        headers = {**headers, **(_JSON if body is not None else {})}
        try:
            reply = self._pool.urlopen(
                method, path, body=body, headers=headers, timeout=timeout_s, retries=False, redirect=False
            )
            return Answer(reply.status, decode(reply.status, reply.headers.get("Content-Type"), reply.data))
        except (urllib3.exceptions.HTTPError, OSError, ValueError):
            return NoAnswer()


CLIENTS: Mapping[str, type[TierClient]] = {"http.client": OnHttpClient, "urllib3": OnUrllib3}


def create_front_end(library: str) -> "WSGIApplication":
    """Returns the front end as gunicorn serves it, with calls by this library."""
    return create_front_end_app(tier_client=CLIENTS[library])


def create_order(library: str) -> "WSGIApplication":
    """Returns the order tier as gunicorn serves it, with calls by this library."""
    return create_order_app(tier_client=CLIENTS[library])
