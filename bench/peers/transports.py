"""The calls between the tiers on HTTP libraries, where `wsgi_apps.tier_client.TierClient` has sockets of its own."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import requests
import urllib3

from conf.addresses import Address
from conf.secret import Secrets
from wsgi_apps import front_end, order
from wsgi_apps.tier_client import Answer, Decode, NoAnswer, TierClient

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


class RequestsClient(TierClient):
    """On a `requests` session that looks for no proxy."""

    def __init__(self, name: str, address: Address, *, secrets: Secrets | None = None, **options: Any) -> None:
        super().__init__(name, address, **options)
        self._url = f"http://{address}"
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers.update(_authorization(secrets))

    def _ask(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, timeout_s: float, decode: Decode
    ) -> Answer | NoAnswer:
        try:
            reply = self._session.request(method, self._url + path, data=body, headers=dict(headers), timeout=timeout_s)
            return Answer(
                reply.status_code, decode(reply.status_code, reply.headers.get("Content-Type"), reply.content)
            )
        except (requests.RequestException, ValueError):
            return NoAnswer()


class Urllib3Client(TierClient):
    """On urllib3's pool of connections to one host, without its retries."""

    def __init__(self, name: str, address: Address, *, secrets: Secrets | None = None, **options: Any) -> None:
        super().__init__(name, address, **options)
        self._authorization = _authorization(secrets)
        self._pool = urllib3.HTTPConnectionPool(address.host, address.port, maxsize=64)

    def _ask(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, timeout_s: float, decode: Decode
    ) -> Answer | NoAnswer:
        try:
            reply = self._pool.urlopen(
                method,
                path,
                body=body,
                headers={**self._authorization, **headers},
                timeout=timeout_s,
                retries=False,
                redirect=False,
            )
            return Answer(reply.status, decode(reply.status, reply.headers.get("Content-Type"), reply.data))
        except (urllib3.exceptions.HTTPError, OSError, ValueError):
            return NoAnswer()


def front_end_over_requests() -> "WSGIApplication":
    return _front_end(RequestsClient)


def front_end_over_urllib3() -> "WSGIApplication":
    return _front_end(Urllib3Client)


def order_over_requests() -> "WSGIApplication":
    return _order(RequestsClient)


def order_over_urllib3() -> "WSGIApplication":
    return _order(Urllib3Client)


def _authorization(secrets: Secrets | None) -> dict[str, str]:
    return {"Authorization": secrets.authorization} if secrets else {}


def _front_end(client: type[TierClient]) -> "WSGIApplication":
    # By way of vars: the module has the name for itself, and mypy would have it stay so.
    vars(front_end)["TierClient"] = client
    return front_end.create_app()


def _order(client: type[TierClient]) -> "WSGIApplication":
    vars(order)["TierClient"] = client
    return order.create_app()
