"""What the catalog tier has threads of its own for."""

import json
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from werkzeug.test import Client, EnvironBuilder

from db.catalog import CatalogStore
from domain.values import Buy
from wsgi_apps.catalog import CatalogApp
from wsgi_apps.wire import encode_buys

THREADS = 3
PATIENCE_S = 60.0


class Slow(CatalogStore):
    """A catalog in which pages and direct decrements take until `go_on`."""

    go_on: threading.Event

    def products(self, **options: Any) -> Any:
        assert self.go_on.wait(PATIENCE_S)
        return super().products(**options)

    def sell(self, buys: Sequence[Buy], *arguments: Any, **options: Any) -> Any:
        if options.get("reason") == "decrement":
            assert self.go_on.wait(PATIENCE_S)
        return super().sell(buys, *arguments, **options)


@pytest.fixture
def app(catalog: CatalogStore) -> Iterator[CatalogApp]:
    """The tier while all threads for pages and for decrements wait, and as many more wait for a thread."""
    store = Slow(catalog._database.path)
    store.go_on = threading.Event()
    app = CatalogApp(store, threads=THREADS)
    for number in range(2 * THREADS):
        for method, path in (("GET", "/products"), ("POST", f"/Bird/{number + 1}")):
            app(EnvironBuilder(path, method=method).get_environ(), lambda *_: lambda _: None)
    yield app
    store.go_on.set()


def test_the_order_tier_queues_behind_neither_pages_nor_decrements(app: CatalogApp) -> None:
    sold: list[bytes] = []
    asking = threading.Thread(
        target=lambda: sold.append(Client(app).post("/v1/sales", data=encode_buys([Buy("k", "Tux", 1)])).data)
    )
    asking.start()
    asking.join(timeout=PATIENCE_S / 2)
    assert [json.loads(data) for data in sold] == [{"data": [2599]}]
