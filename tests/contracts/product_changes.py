"""Tests that the owner's changes of products pass on every engine: each happens once for its key, with its entry."""

from collections.abc import Callable
from typing import Any

import pytest

from db.product_changes import ProductChanges
from db.sqlite.catalog import CatalogStore
from domain.errors import Invalid, KeyReused, OutOfStock, ProductNotFound
from domain.values import MAX_STOCK, Buy, Product, Sold
from tests.support.pages import read_page

# Returns all rows of a query of the catalog.
Query = Callable[[str], list[Any]]


def rows(query_catalog: Query) -> list[list[tuple[object, ...]]]:
    """Returns all rows of the catalog."""
    tables = ("products", "stock_ledger", "product_history", "refused")
    return [query_catalog(f"SELECT * FROM {table}") for table in tables]


def history(query_catalog: Query) -> list[tuple[object, ...]]:
    """Returns the product history after the entries of the first four products."""
    return query_catalog("SELECT product, what, price_cents, key FROM product_history WHERE entry > 4 ORDER BY entry")


class ProductChangesContract:
    """The owner changes products beside a catalog that sells, and the books explain each change."""

    @pytest.fixture
    def owner(self, owner_catalog: ProductChanges) -> ProductChanges:
        """The implementation under test, on the catalog of the documented products."""
        return owner_catalog

    def test_a_new_product_is_for_sale_with_its_first_entries(
        self, owner: ProductChanges, catalog: CatalogStore, query_catalog: Query
    ) -> None:
        assert owner.add(Product("Cat", 150, 3), "k") is True
        assert catalog.sell([Buy("b", "Cat", 1)]) == [Sold(150)]
        assert history(query_catalog) == [("Cat", "added", 150, None)]
        ledger = (
            "SELECT delta, balance, reason, key, price_cents FROM stock_ledger WHERE product = 'Cat' ORDER BY entry"
        )
        assert query_catalog(ledger) == [(3, 3, "initial", "k", 150), (-1, 2, "sold", "b", 150)]

    def test_a_restock_is_an_entry_of_the_ledger(
        self, owner: ProductChanges, catalog: CatalogStore, query_catalog: Query
    ) -> None:
        assert owner.restock("Tux", 20, "k") is True
        assert catalog.product("Tux") == Product("Tux", 2599, 100)
        ledger = "SELECT product, delta, balance, reason, price_cents FROM stock_ledger WHERE key = 'k'"
        assert query_catalog(ledger) == [("Tux", 20, 100, "restock", 2599)]

    def test_a_writeoff_is_an_entry_of_the_ledger_with_its_note(
        self, owner: ProductChanges, catalog: CatalogStore, query_catalog: Query
    ) -> None:
        owner.restock("Tux", 800, "one zero too many")
        assert owner.writeoff("Tux", 720, "only 80 came", "k") is True
        assert catalog.product("Tux") == Product("Tux", 2599, 160)
        ledger = "SELECT delta, balance, reason, price_cents, note FROM stock_ledger WHERE key = 'k'"
        assert query_catalog(ledger) == [(-720, 160, "writeoff", 2599, "only 80 came")]
        assert catalog.sell([Buy("all", "Tux", 160), Buy("one", "Tux", 1)]) == [Sold(2599), OutOfStock()]

    def test_a_writeoff_of_more_than_the_stock_is_refused(self, owner: ProductChanges, query_catalog: Query) -> None:
        before = rows(query_catalog)
        with pytest.raises(Invalid, match="the stock of 'Tux' is 80 pieces, and not 81"):
            owner.writeoff("Tux", 81, "stolen", "k")
        assert rows(query_catalog) == before
        assert owner.writeoff("Tux", 80, "stolen", "k") is True

    @pytest.mark.parametrize(("counted", "delta"), [(0, -80), (78, -2), (80, 0), (95, 15)])
    def test_a_correction_sets_the_stock_to_the_counted_number(
        self, owner: ProductChanges, catalog: CatalogStore, query_catalog: Query, counted: int, delta: int
    ) -> None:
        assert owner.correct("Tux", counted, "counted", "k") is True
        assert catalog.product("Tux").quantity == counted
        ledger = "SELECT delta, balance, reason, note FROM stock_ledger WHERE key = 'k'"
        assert query_catalog(ledger) == [(delta, counted, "correction", "counted")]

    def test_a_retired_product_is_not_found(
        self, owner: ProductChanges, catalog: CatalogStore, query_catalog: Query
    ) -> None:
        assert owner.retire("Tux", "k") is True
        assert catalog.lookup(["Tux", "Bird"]) == [ProductNotFound(), Product("Bird", 3999, 98)]
        with pytest.raises(ProductNotFound):
            catalog.product("Tux")
        assert read_page(catalog.products(limit=10)).names == ["Bird", "Elephant", "Whale"]
        assert catalog.sell([Buy("new", "Tux", 1), Buy("direct", "Tux", 1)]) == [ProductNotFound(), ProductNotFound()]
        assert query_catalog("SELECT name, quantity FROM products WHERE retired") == [("Tux", 80)]
        assert history(query_catalog) == [("Tux", "retired", 2599, "k")]

    def test_low_stock_shows_no_retired_product(
        self, owner: ProductChanges, catalog: CatalogStore, query_catalog: Query
    ) -> None:
        catalog.sell([Buy("a", "Tux", 75), Buy("b", "Bird", 95)])
        owner.retire("Tux", "k")
        assert query_catalog("SELECT name FROM low_stock") == [("Bird",)]

    def test_repeating_a_change_under_its_key_changes_nothing(
        self, owner: ProductChanges, query_catalog: Query
    ) -> None:
        def change_all() -> list[bool]:
            return [
                owner.add(Product("Cat", 150, 3), "a"),
                owner.restock("Cat", 5, "b"),
                owner.price("Cat", 160, "c"),
                owner.writeoff("Cat", 2, "fell down", "e"),
                owner.correct("Cat", 7, "counted", "f"),
                owner.retire("Cat", "d"),
            ]

        assert change_all() == [True] * 6
        before = rows(query_catalog)
        assert change_all() == [False] * 6
        assert rows(query_catalog) == before

    def test_a_price_change_stays_done_when_a_shopper_buys_under_its_key(
        self, owner: ProductChanges, catalog: CatalogStore
    ) -> None:
        owner.price("Tux", 160, "k")
        assert catalog.sell([Buy("k", "Tux", 1)]) == [Sold(160)]
        assert owner.price("Tux", 160, "k") is False

    def test_a_key_of_another_change_or_buy_is_refused(
        self, owner: ProductChanges, catalog: CatalogStore, query_catalog: Query
    ) -> None:
        owner.add(Product("Cat", 150, 3), "added")
        owner.restock("Cat", 5, "restocked")
        owner.price("Cat", 160, "priced")
        owner.writeoff("Cat", 1, "broken", "written off")
        owner.correct("Cat", 7, "counted", "corrected")
        owner.retire("Bird", "retired")
        catalog.sell([Buy("sold", "Cat", 1), Buy("refused", "Cat", 100)])
        before = rows(query_catalog)
        changes: list[Callable[[str], bool]] = [
            lambda key: owner.add(Product("Cat", 150, 4), key),
            lambda key: owner.add(Product("Cat", 151, 3), key),
            lambda key: owner.add(Product("Dog", 150, 3), key),
            lambda key: owner.restock("Cat", 6, key),
            lambda key: owner.restock("Tux", 5, key),
            lambda key: owner.price("Cat", 161, key),
            lambda key: owner.price("Tux", 160, key),
            lambda key: owner.retire("Cat", key),
            lambda key: owner.writeoff("Cat", 2, "broken", key),
            lambda key: owner.writeoff("Tux", 1, "broken", key),
            lambda key: owner.writeoff("Cat", 1, "lost", key),
            lambda key: owner.correct("Cat", 8, "counted", key),
            lambda key: owner.correct("Tux", 7, "counted", key),
            lambda key: owner.correct("Cat", 7, "guessed", key),
        ]
        for key in ("added", "restocked", "priced", "retired", "sold", "refused", "written off", "corrected"):
            for change in changes:
                with pytest.raises(KeyReused, match=f"the key '{key}' stands for something else"):
                    change(key)
        assert rows(query_catalog) == before

    @pytest.mark.parametrize("key", ["added", "restocked", "written off", "corrected"])
    def test_a_buy_under_an_owners_key_is_refused(self, owner: ProductChanges, catalog: CatalogStore, key: str) -> None:
        owner.add(Product("Cat", 150, 3), "added")
        owner.restock("Cat", 3, "restocked")
        owner.writeoff("Cat", 3, "broken", "written off")
        owner.correct("Cat", 3, "counted", "corrected")
        assert catalog.sell([Buy(key, "Cat", 3)]) == [KeyReused()]

    def test_an_impossible_change_is_named_and_changes_nothing(
        self, owner: ProductChanges, query_catalog: Query
    ) -> None:
        owner.retire("Whale", "gone")
        before = rows(query_catalog)
        for name in ("Nix", "Whale"):
            why = f"there is no '{name}'" if name == "Nix" else f"'{name}' was retired"
            with pytest.raises(ProductNotFound, match=why):
                owner.restock(name, 1, "k")
            with pytest.raises(ProductNotFound, match=why):
                owner.price(name, 1, "k")
            with pytest.raises(ProductNotFound, match=why):
                owner.retire(name, "k")
            with pytest.raises(ProductNotFound, match=why):
                owner.writeoff(name, 1, "lost", "k")
        with pytest.raises(ProductNotFound, match="there is no 'Nix'"):
            owner.correct("Nix", 1, "counted", "k")
        for name in ("Tux", "Whale"):
            with pytest.raises(Invalid, match=f"there is or was a '{name}' already"):
                owner.add(Product(name, 1, 1), "k")
        with pytest.raises(Invalid, match="would be above 1,000,000,000"):
            owner.restock("Tux", MAX_STOCK - 79, "k")
        assert rows(query_catalog) == before
        assert owner.restock("Tux", MAX_STOCK - 80, "k") is True

    def test_a_name_that_looks_like_another_one_is_refused(self, owner: ProductChanges, query_catalog: Query) -> None:
        owner.add(Product("\u2b50 Bear", 1, 1), "star")
        before = rows(query_catalog)
        for name in ("\u2b50\ufe0f Bear", "\u2b50  Bear"):
            with pytest.raises(Invalid, match=r"looks like '\\u2b50 Bear', which is or was sold already"):
                owner.add(Product(name, 1, 1), "other")
        assert owner.add(Product("\u2b50 Bear", 1, 1), "star") is False, "it is the same product under its key"
        assert rows(query_catalog) == before
