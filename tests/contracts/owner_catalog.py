"""Tests that every implementation of the protocol OwnerCatalog must pass."""

from collections.abc import Callable

import pytest

from db.sqlite.catalog import CatalogStore
from domain.errors import Invalid, KeyReused, ProductNotFound
from domain.owner import OwnerCatalog, StockedProduct
from domain.values import Buy, Product

BY_STOCK = [
    StockedProduct("Tux", 2599, 80, False),
    StockedProduct("Elephant", 2999, 87, False),
    StockedProduct("Whale", 3499, 94, False),
    StockedProduct("Bird", 3999, 98, False),
]


class OwnerCatalogContract:
    """The owner sees the stock with its books, and changes it once for each key."""

    @pytest.fixture
    def subject(self, owner_catalog: OwnerCatalog) -> OwnerCatalog:
        """The catalog under test: Tux 25.99 80, Whale 34.99 94, Elephant 29.99 87, Bird 39.99 98, none sold yet."""
        return owner_catalog

    def test_the_stock_begins_with_what_runs_out_first(self, subject: OwnerCatalog) -> None:
        assert list(subject.stock(limit=10)) == BY_STOCK

    def test_the_stock_comes_by_pages(self, subject: OwnerCatalog) -> None:
        subject.restock("Tux", 7, "as-elephants")
        pages = [subject.stock(limit=2)]
        while len(pages[-1]) == 2:
            last = pages[-1][-1]
            pages.append(subject.stock(after=(last.quantity, last.name), limit=2))
        assert [[product.name for product in page] for page in pages] == [["Elephant", "Tux"], ["Whale", "Bird"], []]

    def test_a_search_of_the_stock_finds_part_of_a_name_in_any_case(self, subject: OwnerCatalog) -> None:
        assert [product.name for product in subject.stock(q="E", limit=10)] == ["Elephant", "Whale"]
        subject.add(Product("Äpfel & Co #1+2=3", 1, 0), "odd")
        assert [product.name for product in subject.stock(q="äPFEL & co #1+2=", limit=10)] == ["Äpfel & Co #1+2=3"]

    def test_a_retired_product_is_among_the_others_only_on_request(self, subject: OwnerCatalog) -> None:
        assert subject.retire("Tux", "gone") is True
        assert list(subject.stock(limit=10)) == BY_STOCK[1:]
        retired = StockedProduct("Tux", 2599, 80, True)
        assert list(subject.stock(retired=True, limit=10)) == [retired, *BY_STOCK[1:]]
        assert subject.stocked_product("Tux") == retired

    def test_a_product_is_found_by_its_whole_name(self, subject: OwnerCatalog) -> None:
        assert subject.stocked_product("Tux") == BY_STOCK[0]
        with pytest.raises(ProductNotFound):
            subject.stocked_product("Tu")

    def test_the_ledger_shows_each_change_the_newest_first(self, subject: OwnerCatalog, catalog: CatalogStore) -> None:
        catalog.sell([Buy("sale", "Tux", 2), Buy("other", "Bird", 1)])
        subject.restock("Tux", 5, "more")
        subject.writeoff("Tux", 1, "it fell, é", "fell")
        subject.correct("Tux", 90, "counted", "count")
        entries = subject.ledger("Tux", limit=10)
        assert [(entry.reason, entry.delta, entry.balance, entry.key, entry.note) for entry in entries] == [
            ("correction", 8, 90, "count", "counted"),
            ("writeoff", -1, 82, "fell", "it fell, é"),
            ("restock", 5, 83, "more", None),
            ("sold", -2, 78, "sale", None),
            ("initial", 80, 80, None, None),
        ]
        assert {entry.price_cents for entry in entries} == {2599}
        assert all(entry.time.startswith("20") and entry.time.endswith("Z") for entry in entries)

    def test_the_ledger_comes_by_pages(self, subject: OwnerCatalog) -> None:
        for number in range(4):
            subject.restock("Tux", 1, f"k{number}")
        first = subject.ledger("Tux", limit=3)
        subject.restock("Tux", 1, "meanwhile")
        second = subject.ledger("Tux", before=first[-1].entry, limit=3)
        assert [entry.key for entry in (*first, *second)] == ["k3", "k2", "k1", "k0", None]
        assert list(subject.ledger("Nix", limit=3)) == []

    def test_the_history_shows_prices_and_the_end(self, subject: OwnerCatalog) -> None:
        assert subject.add(Product("Cat", 100, 3), "cat") is True
        assert subject.price("Cat", 250, "dearer") is True
        assert subject.retire("Cat", "gone") is True
        history = subject.history("Cat")
        assert [(entry.what, entry.price_cents, entry.key) for entry in history] == [
            ("retired", 250, "gone"),
            ("price", 250, "dearer"),
            ("added", 100, None),
        ]
        assert [entry.entry for entry in history] == sorted((entry.entry for entry in history), reverse=True)

    @pytest.mark.parametrize(
        "change",
        [
            lambda subject: subject.add(Product("Cat", 100, 3), "k"),
            lambda subject: subject.restock("Tux", 5, "k"),
            lambda subject: subject.writeoff("Tux", 5, "a note", "k"),
            lambda subject: subject.correct("Tux", 5, "a note", "k"),
            lambda subject: subject.price("Tux", 5, "k"),
            lambda subject: subject.retire("Tux", "k"),
        ],
    )
    def test_a_change_is_made_once_for_its_key(
        self, subject: OwnerCatalog, change: Callable[[OwnerCatalog], bool]
    ) -> None:
        assert [change(subject), change(subject)] == [True, False]
        with pytest.raises(KeyReused):
            subject.restock("Bird", 1, "k")

    def test_a_change_that_cannot_be_made_says_why(self, subject: OwnerCatalog) -> None:
        with pytest.raises(ProductNotFound):
            subject.price("Nix", 1, "a")
        with pytest.raises(Invalid, match="80 pieces, and not 81"):
            subject.writeoff("Tux", 81, "a note", "b")
        with pytest.raises(Invalid, match="there is or was a 'Tux' already"):
            subject.add(Product("Tux", 1, 1), "c")
        assert list(subject.stock(limit=10)) == BY_STOCK
