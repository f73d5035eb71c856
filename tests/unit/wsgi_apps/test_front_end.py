"""The front end: product names, keys, and access to orders."""

from pathlib import Path
from urllib.parse import quote

import pytest
from werkzeug.test import Client

from db.sqlite.catalog import CatalogStore
from db.sqlite.order import OrderStore
from domain.checkout import Checkout
from domain.values import Product
from tests.support.app_clients import AppClients, decode_error
from wsgi_apps.front_end import FrontEndApp


@pytest.mark.parametrize(
    ("known", "status"),
    [('"2599-80"', 304), ('W/"2599-80"', 304), ('"1", "2599-80"', 304), ("*", 304), ('"2599-8"', 200), ("", 200)],
)
def test_a_product_that_a_client_has_is_not_sent_again(tiers: AppClients, known: str, status: int) -> None:
    response = tiers.front_end.get("/products/Tux", headers={"If-None-Match": known})
    assert (response.status_code, response.headers["ETag"]) == (status, '"2599-80"')
    assert bool(response.data) == (status == 200)


def test_each_reply_has_the_stock_of_its_moment(tiers: AppClients) -> None:
    stocks = []
    for _ in range(3):
        stocks += [tiers.front_end.get("/products/Tux").json["data"]["quantity"] for _ in range(2)]  # type: ignore[index]
        tiers.front_end.post("/Tux/1")
    assert stocks == [80, 80, 79, 79, 78, 78]


@pytest.mark.parametrize("name", ["Tux & Söhne", "100 %", "a?b#c", "..", "products", "\u4f01\u9d5d", "sales"])
def test_any_name_can_be_queried_and_bought(tmp_path: Path, orders: OrderStore, name: str) -> None:
    store = CatalogStore(tmp_path / "catalog.db")
    store.migrate()
    store.load([Product(name, 100, 5)])
    front_end = Client(FrontEndApp(store, Checkout(orders, store)))
    path = quote(name, safe="")
    assert front_end.get(f"/products/{path}").json == {"data": {"name": name, "price": 1.0, "quantity": 5}}
    assert front_end.post(f"/{path}/1").status_code == 200
    assert store.product(name).quantity == 4
    store.close()


def test_names_are_compared_in_nfc(tmp_path: Path, orders: OrderStore) -> None:
    store = CatalogStore(tmp_path / "catalog.db")
    store.migrate()
    store.load([Product("Caf\u00e9", 100, 5)])
    response = Client(FrontEndApp(store, Checkout(orders, store))).get("/products/Cafe%CC%81")
    assert response.status_code == 200
    store.close()


def test_a_response_to_a_refused_buy_has_its_key(tiers: AppClients) -> None:
    response = tiers.front_end.post("/Tux/1000", headers={"Idempotency-Key": "my-key"})
    assert (response.status_code, response.headers["Idempotency-Key"]) == (404, "my-key")


@pytest.mark.parametrize(
    "key", [None, "other", "m", "mine2", "MINE", "Mine", "order-1", "*", "%", "0", '"mine"', "min%65"]
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_an_order_is_unknown_to_a_client_without_its_key(tiers: AppClients, key: str | None, method: str) -> None:
    """Otherwise a stranger could count through the numbers and read all sales."""
    for bought_with in ("mine", "order-1"):
        tiers.front_end.post("/Tux/2", headers={"Idempotency-Key": bought_with})
    headers = {} if key is None else {"Idempotency-Key": key}
    existing, unknown = (tiers.front_end.open(f"/orders/{n}", method=method, headers=headers) for n in (0, 7))
    assert (existing.status_code, existing.data, existing.headers) == (404, unknown.data, unknown.headers)
    if key is not None:  # the front end passes the key on, and the order tier checks it too
        assert tiers.order.get("/orders/0", headers=headers).status_code == 404


@pytest.mark.parametrize("key", ["", "mine,mine", "mine, mine", "a b", "x" * 129, "\xe9"])
def test_an_invalid_key_is_400_whether_the_order_exists_or_not(tiers: AppClients, key: str) -> None:
    tiers.front_end.post("/Tux/2", headers={"Idempotency-Key": "mine"})
    for client in (tiers.front_end, tiers.order):
        existing, unknown = (
            client.get(f"/orders/{number}", environ_overrides={"HTTP_IDEMPOTENCY_KEY": key}) for number in (0, 7)
        )
        assert (existing.status_code, existing.data, existing.headers) == (400, unknown.data, unknown.headers)
        assert "Idempotency-Key" in decode_error(existing)


def test_the_key_of_a_refused_buy_shows_no_order(tiers: AppClients) -> None:
    tiers.front_end.post("/Tux/1000", headers={"Idempotency-Key": "refused"})
    tiers.front_end.post("/Tux/1", headers={"Idempotency-Key": "mine"})
    for number in ("0", "-1"):
        response = tiers.front_end.get(f"/orders/{number}", headers={"Idempotency-Key": "refused"})
        assert (response.status_code, decode_error(response)) == (404, "order not found")
