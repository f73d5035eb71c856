"""Races of 64 shoppers at running tiers with several workers each, where no lock of one process helps."""

from pathlib import Path

from tests.support.books import Books
from tests.support.shoppers import Shoppers
from tests.support.tiers import products_file, running

CLIENTS = 64


def test_64_shoppers_buy_exactly_1000_of_1000_pieces(tmp_path: Path) -> None:
    products = products_file(tmp_path, "Ticket 50 1000")
    workers = {"CATALOG_WORKERS": "2", "ORDER_WORKERS": "2", "FRONT_WORKERS": "2"}
    with running(tmp_path / "data", PRODUCTS=products, **workers) as tiers:
        shoppers = Shoppers(tiers.url("front_end"))
        buys = [(f"key-{number}", "Ticket", 1) for number in range(1_100)]
        shoppers.share(buys, CLIENTS, meanwhile=lambda: None)
        books = Books.read(tiers.data_dir)
    shoppers.history.check(books)
    assert books.products == {"Ticket": 0}
    assert [number for number, *_ in books.orders] == list(range(1_000))
    assert len(books.refused) == 100
    assert shoppers.resets == 0


def test_64_shoppers_with_one_key_get_one_order(tmp_path: Path) -> None:
    with running(tmp_path / "data", ORDER_WORKERS="2", CATALOG_WORKERS="2") as tiers:
        shoppers = Shoppers(tiers.url("front_end"))
        shoppers.share([("one-key", "Tux", 2)] * CLIENTS, CLIENTS, meanwhile=lambda: None)
        books = Books.read(tiers.data_dir)
    shoppers.history.check(books)
    assert {attempt.answer for attempt in shoppers.history.attempts} == {"0"}
    assert books.products["Tux"] == 78
