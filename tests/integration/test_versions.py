"""An upgrade in the wrong order: the calling tier is newer than the called one."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from werkzeug.test import Client

from db.sqlite.catalog import CatalogStore
from db.sqlite.order import OrderStore
from domain.checkout import Checkout
from domain.errors import Unavailable
from domain.values import Buy
from tests.support.books import Books
from tests.support.stub_server import answer_from, tier
from wsgi_apps import wire
from wsgi_apps.catalog import CatalogApp
from wsgi_apps.clients import HttpCatalog, HttpOrders
from wsgi_apps.front_end import FrontEndApp
from wsgi_apps.order import OrderApp

BUY = Buy("k", "Tux", 1)


@pytest.fixture
def newer(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Undoes the patches of `ask_for_the_next_version` at the end of a test, or at `undo`."""
    with monkeypatch.context() as patch:
        yield patch


def ask_for_the_next_version(patch: pytest.MonkeyPatch) -> None:
    """Makes the clients call the paths of the next version. Apps that exist already keep their paths."""
    for call in wire.CALLS:
        patch.setattr(wire, call.upper(), f"/v{wire.VERSION + 1}/{call}")


def test_a_newer_order_tier_leaves_buys_in_doubt_until_the_catalog_is_upgraded(
    catalog: CatalogStore,
    orders: OrderStore,
    tmp_path: Path,
    newer: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with tier(answer_from(CatalogApp(catalog))) as client, caplog.at_level(logging.ERROR):
        checkout = Checkout(orders, HttpCatalog(client))
        ask_for_the_next_version(newer)
        for _ in range(2):
            with pytest.raises(Unavailable):
                checkout.place_all([BUY, Buy("l", "Nix", 1)])
            with pytest.raises(Unavailable):
                HttpCatalog(client).introduce(None)
        books = Books.read(tmp_path)
        assert (books.orders, books.refused, books.products["Tux"]) == ([], {}, 80)
        assert {intent.key for intent in orders.intents(10)} == {"k", "l"}
        assert [record.message for record in caplog.records] == [
            "the catalog does not know /v2/sales: it is of another release; upgrade all, those behind first"
        ]
        newer.undo()
        assert [type(answer).__name__ for answer in checkout.place_all([BUY, Buy("l", "Nix", 1)])] == [
            "int",
            "ProductNotFound",
        ]


def test_a_newer_front_end_answers_503_until_the_tiers_behind_are_upgraded(
    catalog: CatalogStore, checkout: Checkout, newer: pytest.MonkeyPatch
) -> None:
    with (
        tier(answer_from(CatalogApp(catalog))) as catalog_client,
        tier(answer_from(OrderApp(checkout)), name="order tier") as order_client,
    ):
        shop = Client(FrontEndApp(HttpCatalog(catalog_client), HttpOrders(order_client)))
        ask_for_the_next_version(newer)
        for response in (shop.get("/products/Tux"), shop.post("/Tux/1", headers={"Idempotency-Key": "k"})):
            assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
        assert shop.get("/products").status_code == 200, "the paths of shoppers have no version"
        newer.undo()
        assert shop.post("/Tux/1", headers={"Idempotency-Key": "k"}).json == {"data": {"order_number": "0"}}
