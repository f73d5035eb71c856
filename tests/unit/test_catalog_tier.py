"""What the catalog tier has threads of its own for."""

import json
import threading
from collections.abc import Iterator

import pytest
from werkzeug.test import Client, EnvironBuilder

from db.catalog import CatalogStore
from domain.values import Buy
from wsgi_apps.catalog import CatalogApp
from wsgi_apps.wire import buys_body

THREADS = 3


class SlowPages(CatalogStore):
    """A catalog whose pages take until `go_on`."""

    go_on = threading.Event()

    def products(self, **options: Any) -> Any:
        assert self.go_on.wait(PATIENCE_S)
        return super().products(**options)

    def sell(self, buys: Sequence[Buy], *arguments: Any, **options: Any) -> Any:
        if options.get("reason") == "decrement":
            assert self.go_on.wait(PATIENCE_S)
        return super().sell(buys, *arguments, **options)


@pytest.fixture
def app(catalog: CatalogStore) -> Iterator[CatalogApp]:
    """The tier while all its threads for pages wait for one, and as many pages again wait for a thread."""
    store = SlowPages(catalog._database.path)
    app = CatalogApp(store, threads=THREADS)
    for _ in range(2 * THREADS):
        begun = app(EnvironBuilder("/products").get_environ(), lambda *_: lambda _: None)
        assert begun is not None
    yield app
    store.go_on.set()


def test_the_order_tier_does_not_queue_behind_pages(app: CatalogApp) -> None:
    sold: list[bytes] = []
    asking = threading.Thread(
        target=lambda: sold.append(Client(app).post("/sales", data=buys_body([Buy("k", "Tux", 1)])).data)
    )
    asking.start()
    asking.join(timeout=30)
    assert [json.loads(data) for data in sold] == [{"data": [{"price_cents": 2599}]}]
