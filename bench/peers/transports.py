"""The calls between the tiers on other HTTP clients than the sockets of `wsgi_apps.peer.Peer`.

They do not retry, and know no TIER_SECRET: the store that is measured has none.
"""

from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Any

import urllib3

from conf.addresses import Address
from wsgi_apps import front_end, order
from wsgi_apps.peer import Answer, Decode, NoAnswer, Peer

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

_JSON = {"Content-Type": "application/json"}


class HttpClientPeer(Peer):
    """On http.client, its connections kept as `Peer` keeps its own."""

    def __init__(self, name: str, address: Address, **options: Any) -> None:
        super().__init__(name, address, **options)
        self._kept: list[HTTPConnection] = []

    def _ask(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, timeout_s: float, decode: Decode
    ) -> Answer | NoAnswer:
        try:
            connection = self._kept.pop()
        except IndexError:
            connection = HTTPConnection(self._address.host, self._address.port, timeout=timeout_s)
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


class Urllib3Peer(Peer):
    """On urllib3's pool of connections to one host, without its retries."""

    def __init__(self, name: str, address: Address, **options: Any) -> None:
        super().__init__(name, address, **options)
        self._pool = urllib3.HTTPConnectionPool(address.host, address.port, maxsize=64)

    def _ask(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, timeout_s: float, decode: Decode
    ) -> Answer | NoAnswer:
        headers = {**headers, **(_JSON if body is not None else {})}
        try:
            reply = self._pool.urlopen(
                method, path, body=body, headers=headers, timeout=timeout_s, retries=False, redirect=False
            )
            return Answer(reply.status, decode(reply.status, reply.headers.get("Content-Type"), reply.data))
        except (urllib3.exceptions.HTTPError, OSError, ValueError):
            return NoAnswer()


PEERS: Mapping[str, type[Peer]] = {"http.client": HttpClientPeer, "urllib3": Urllib3Peer}


def create_front_end(library: str) -> "WSGIApplication":
    """The front end as gunicorn serves it, its calls over a library."""
    # By way of vars: the module has the name for itself, and mypy would have it stay so.
    vars(front_end)["Peer"] = PEERS[library]
    return front_end.create_app()


def create_order(library: str) -> "WSGIApplication":
    """The order tier, likewise."""
    vars(order)["Peer"] = PEERS[library]
    return order.create_app()
