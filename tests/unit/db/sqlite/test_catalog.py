"""The catalog store: the contract of a catalog, and the rules of its database."""

from contextlib import closing
from pathlib import Path

import apsw
import pytest

from db.sqlite.catalog import CatalogStore
from db.sqlite.product_admin import ProductAdmin
from domain.errors import KeyReused, OutOfStock, ProductNotFound
from domain.values import Buy, Product, Sold
from tests.contracts.catalog import CatalogContract
from tests.support.books import query


class TestCatalogStore(CatalogContract):
    """A catalog store fulfils the contract of a catalog."""


def test_a_product_is_found_by_its_name(catalog: CatalogStore) -> None:
    assert catalog.product("Tux") == Product("Tux", 2599, 80)
    with pytest.raises(ProductNotFound):
        catalog.product("tux")


def test_a_sale_takes_the_pieces_and_enters_them_in_the_ledger(catalog: CatalogStore, tmp_path: Path) -> None:
    assert catalog.sell([Buy("k", "Tux", 3)]) == [Sold(2599)]
    assert catalog.product("Tux").quantity == 77
    last = query(tmp_path / "catalog.db", "SELECT * FROM stock_ledger ORDER BY entry DESC LIMIT 1")[0]
    assert last[1:7] == ("Tux", -3, 77, "sold", "k", 2599)


def test_a_restock_does_not_change_a_refusal(catalog: CatalogStore, tmp_path: Path) -> None:
    assert catalog.sell([Buy("k", "Tux", 81), Buy("l", "Unicorn", 1)]) == [OutOfStock(), ProductNotFound()]
    with closing(ProductAdmin(tmp_path / "catalog.db")) as owner:
        owner.restock("Tux", 1_000, "more")
    assert catalog.sell([Buy("k", "Tux", 81), Buy("l", "Unicorn", 1)]) == [OutOfStock(), ProductNotFound()]
    assert catalog.sell([Buy("k", "Tux", 80)]) == [KeyReused()]


def test_products_load_only_into_an_empty_catalog(catalog: CatalogStore) -> None:
    assert catalog.load([Product("Cat", 1, 1)]) is False
    with pytest.raises(ProductNotFound):
        catalog.product("Cat")


def test_a_load_is_all_or_nothing(tmp_path: Path) -> None:
    store = CatalogStore(tmp_path / "other.db")
    store.migrate()
    with pytest.raises(apsw.ConstraintError):
        store.load([Product("Cat", 1, 1), Product("Cat", 1, 1)])
    assert store.is_empty()
    store.close()


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("DROP TRIGGER products_quantity; UPDATE products SET quantity = -1", "CHECK constraint failed: quantity >= 0"),
        ("UPDATE stock_ledger SET delta = 1", "append-only"),
        ("DELETE FROM stock_ledger", "append-only"),
        ("REPLACE INTO stock_ledger SELECT * FROM stock_ledger WHERE entry = 1", "append-only"),
        ("INSERT INTO stock_ledger VALUES (99, 'Tux', -1, 79, 'sold', 'sold', 1, 'now', NULL, NULL)", "at most once"),
        ("INSERT INTO stock_ledger VALUES (99, 'Tux', -1, 79, 'sold', 'no', 1, 'now', NULL, NULL)", "never both"),
        (
            "INSERT INTO stock_ledger VALUES (7, 'Tux', -1, 5, 'sold', 'x', 2599, 'now', NULL, NULL)",
            "leads from the stock",
        ),
        ("INSERT INTO stock_ledger VALUES (7, 'Tux', -1, 78, 'sold', 'x', 1, 'now', NULL, NULL)", "at its price"),
        ("INSERT INTO stock_ledger VALUES (6, 'Tux', 1, 80, 'sold', 'x', 2599, 'now', NULL, NULL)", "CHECK"),
        ("INSERT INTO stock_ledger VALUES (6, 'Tux', -1, 78, 'restock', 'x', 2599, 'now', NULL, NULL)", "CHECK"),
        ("INSERT INTO stock_ledger VALUES (6, 'Tux', 1, 80, 'writeoff', 'x', 2599, 'now', 'y', NULL)", "CHECK"),
        ("INSERT INTO stock_ledger VALUES (6, 'Tux', -1, 78, 'writeoff', 'x', 2599, 'now', NULL, NULL)", "CHECK"),
        ("INSERT INTO stock_ledger VALUES (6, 'Tux', -1, 78, 'sold', 'x', 2599, 'now', 'a note', NULL)", "CHECK"),
        ("INSERT INTO stock_ledger VALUES (6, 'Tux', -1, 78, 'sold', NULL, 2599, 'now', NULL, NULL)", "CHECK"),
        (
            "INSERT INTO stock_ledger VALUES (6, 'Tux', 0, NULL, 'correction', 'x', 2599, 'now', 'y', NULL)",
            "leads from",
        ),
        ("UPDATE refused SET quantity = 1", "append-only"),
        ("DELETE FROM refused", "append-only"),
        ("REPLACE INTO refused SELECT * FROM refused", "append-only"),
        ("INSERT INTO refused VALUES ('sold', 'Tux', 1, 'out of stock', 'now')", "never both"),
        ("INSERT INTO refused VALUES ('x', 'Tux', 1, 'sulky', 'now')", "CHECK"),
        ("UPDATE products SET name = 7.5 WHERE name = 'Tux'", "keeps its name"),
        ("UPDATE products SET price_cents = 'cheap'", "cannot store TEXT"),
    ],
)
def test_the_schema_itself_enforces_the_rules(catalog: CatalogStore, tmp_path: Path, sql: str, message: str) -> None:
    catalog.sell([Buy("sold", "Tux", 1), Buy("no", "Tux", 1000)])
    shell = apsw.Connection(str(tmp_path / "catalog.db"))  # as a person opens it, without the store's pragmas
    with pytest.raises(apsw.Error, match=message):
        shell.execute(sql)
    shell.close()


def test_low_stock_shows_the_products_that_run_out(catalog: CatalogStore, tmp_path: Path) -> None:
    catalog.sell([Buy("k", "Tux", 75)])
    assert query(tmp_path / "catalog.db", "SELECT * FROM low_stock") == [("Tux", 5, 25.99)]
