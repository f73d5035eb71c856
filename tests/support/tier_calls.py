"""Calls to a tier through its client, and a tier that counts them."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

from werkzeug.wrappers import Request, Response

from domain.values import Buy
from tests.support.stub_server import answer_with
from tests.support.tiers import free_port
from wsgi_apps.clients import HttpCatalog, HttpOrders
from wsgi_apps.tier_client import TierClient

BUY = Buy("k", "a b&\u00fc", 2)
PAGE = b'{"data": [{"name": "Tux", "price": 25.99, "quantity": 3}], "next": "Tux"}'


@contextmanager
def absent_tier() -> Iterator[TierClient]:
    """Yields a client of a tier that is not running."""
    with closing(TierClient("catalog", [("127.0.0.1", free_port())], deadline_s=30.0)) as client:
        yield client


class CountedAnswer:
    """Answers all requests alike, and records their times. A _ in the name of a header stands for a hyphen."""

    def __init__(self, status: int, body: object, **headers: str) -> None:
        self._answer = answer_with(status, body)
        self._headers = headers
        self.times: list[float] = []

    def __call__(self, request: Request) -> Response:
        self.times.append(time.monotonic())
        response = self._answer(request)
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
