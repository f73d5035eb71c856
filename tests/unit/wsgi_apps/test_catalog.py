"""The catalog tier: direct decrements, batches of sales and look-ups, versions of the calls."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client, EnvironBuilder

from db.sqlite.catalog import CatalogStore
from db.sqlite.order import OrderStore
from domain.checkout import Checkout
from domain.limits import MAX_NAMES
from domain.values import Buy, Product
from tests.support.app_clients import AppClients, decode_error
from wsgi_apps.catalog import CatalogApp
from wsgi_apps.front_end import FrontEndApp
from wsgi_apps.order import OrderApp
from wsgi_apps.wire import CALLS, encode_buys

THREADS = 3
PATIENCE_S = 60.0


def test_a_direct_decrement_is_sold_once(tiers: AppClients, catalog: CatalogStore) -> None:
    for _ in range(3):
        assert tiers.catalog.post("/Tux/2", headers={"Idempotency-Key": "k"}).status_code == 200
    assert catalog.product("Tux").quantity == 78


def test_each_sale_of_a_batch_has_its_own_result(tiers: AppClients) -> None:
    sales = [["a", "Tux", 1], ["b", "Nix", 1], ["c", "Tux", 1000], ["a", "Tux", 2]]
    assert tiers.catalog.post("/v1/sales", json=sales).json == {
        "data": [
            2599,
            [404, "product not found", None],
            [404, "out of stock", None],
            [422, "this Idempotency-Key was used for another product or quantity", None],
        ]
    }
    assert tiers.catalog.post("/v1/sales", data=b"nonsense").status_code == 400


def test_each_name_of_a_batch_has_its_own_result(tiers: AppClients) -> None:
    assert tiers.catalog.post("/v1/lookups", json=["Tux", "Nix"]).json == {"data": [["Tux", 2599, 80], None]}
    assert tiers.catalog.post("/v1/lookups", json=["a/b"]).status_code == 400
    assert tiers.catalog.post("/v1/lookups", json=["Tux"] * (MAX_NAMES + 1)).status_code == 400


def test_an_empty_batch_has_an_empty_result(tiers: AppClients) -> None:
    assert tiers.order.post("/v1/buys", json=[]).json == {"data": []}
    assert tiers.catalog.post("/v1/sales", json=[]).json == {"data": []}
    assert tiers.catalog.post("/v1/lookups", json=[]).json == {"data": []}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("version", ["v0", "v2", "v10", "v999999"])
def test_a_call_of_an_unknown_version_is_not_found(tiers: AppClients, version: str, call: str) -> None:
    """As a direct decrement of a product named v2 it would be a 400."""
    for tier in (tiers.catalog, tiers.order):
        response = tier.open(f"/{version}/{call}", method="GET" if call == "store" else "POST", json=[])
        assert (response.status_code, decode_error(response)) == (404, "not found")


@pytest.mark.parametrize("name", ["v1", "v2", *CALLS])
def test_a_product_named_like_a_call_or_a_version_is_sold(tmp_path: Path, orders: OrderStore, name: str) -> None:
    store = CatalogStore(tmp_path / "catalog.db")
    store.migrate()
    store.load([Product(name, 100, 3)])
    checkout = Checkout(orders, store)
    front_end, order = Client(FrontEndApp(store, checkout)), Client(OrderApp(checkout))
    assert front_end.get(f"/products/{name}").status_code == 200
    assert front_end.post(f"/{name}/1").status_code == 200
    assert order.post(f"/products/{name}/1").status_code == 200
    assert Client(CatalogApp(store)).post(f"/{name}/1").status_code == 200
    assert store.product(name).quantity == 0
    store.close()


class SlowCatalog(CatalogStore):
    """A catalog whose pages and direct decrements wait for `go_on`."""

    go_on: threading.Event

    def products(self, **options: Any) -> Any:
        assert self.go_on.wait(PATIENCE_S)
        return super().products(**options)

    def decrement(self, buy: Buy, timeout_s: float | None = None) -> None:
        assert self.go_on.wait(PATIENCE_S)
        super().decrement(buy, timeout_s)


@pytest.fixture
def app(catalog: CatalogStore) -> Iterator[CatalogApp]:
    """The tier while pages and decrements occupy all of their threads, and more of them are queued."""
    store = SlowCatalog(catalog._database.path)
    store.go_on = threading.Event()
    app = CatalogApp(store, threads=THREADS)
    for number in range(2 * THREADS):
        for method, path in (("GET", "/products"), ("POST", f"/Bird/{number + 1}")):
            app(EnvironBuilder(path, method=method).get_environ(), lambda *_: lambda _: None)
    yield app
    store.go_on.set()


def test_a_sale_waits_neither_for_pages_nor_for_decrements(app: CatalogApp) -> None:
    sold: list[bytes] = []
    asking = threading.Thread(
        target=lambda: sold.append(Client(app).post("/v1/sales", data=encode_buys([Buy("k", "Tux", 1)])).data)
    )
    asking.start()
    asking.join(timeout=PATIENCE_S / 2)
    assert [json.loads(data) for data in sold] == [{"data": [2599]}]
