"""Calls to a tier through its client, and a tier that counts them."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

from werkzeug.wrappers import Request, Response

from domain.values import Buy
from tests.support.stub_server import says
from tests.support.tiers import free_port
from wsgi_apps.clients import HttpCatalog, HttpOrders
from wsgi_apps.tier_client import TierClient

BUY = Buy("k", "a b&\u00fc", 2)
PAGE = b'{"data": [{"name": "Tux", "price": 25.99, "quantity": 3}], "next": "Tux"}'


@contextmanager
def absent_tier() -> Iterator[TierClient]:
    """A client of a tier that is not running."""
    with closing(TierClient("catalog", "127.0.0.1", free_port(), deadline_s=30.0)) as client:
        yield client


class CountedAnswer:
    """The answer of a tier to all requests, whose times it records. `headers` have _ for the hyphen in their names."""

    def __init__(self, status: int, body: object, **headers: str) -> None:
        self._says = says(status, body)
        self._headers = headers
        self.times: list[float] = []

    def __call__(self, request: Request) -> Response:
        self.times.append(time.monotonic())
        response = self._says(request)
        for name, value in self._headers.items():
            response.headers[name.replace("_", "-")] = value
        return response


def call(client: TierClient, kind: str) -> object:
    """Makes one call of this kind: page, query, sale, buy or order."""
    match kind:
        case "page":
            return HttpCatalog(client).products(q="", after="", limit=10)
        case "query":
            return HttpCatalog(client).lookup(["Tux"])
        case "sale":
            return HttpCatalog(client).sell([BUY])
        case "buy":
            return HttpOrders(client).place_all([BUY])
    return HttpOrders(client).order(1)
