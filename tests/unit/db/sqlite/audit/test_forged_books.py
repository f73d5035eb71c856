"""The audit names every forged, lost or damaged row, table and page."""

import re
from pathlib import Path

import pytest

from db.sqlite.catalog import CatalogStore
from db.sqlite.order import OrderStore
from domain.values import Buy
from tests.support.audit import findings, run_audit
from tests.support.forgery import forge, forge_schema
from tests.unit.db.sqlite.audit.conftest import FORGED_ORDER, damage_page

AGED_INTENTS = "UPDATE intents SET time = strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-{seconds} seconds')"


def test_an_audit_of_untouched_books_is_clean(books: Path) -> None:
    assert findings(books) == []


@pytest.mark.parametrize(
    ("sql", "lines"),
    [
        (
            "UPDATE products SET quantity = 59 WHERE name = 'Tux'",
            ["I1 Tux: has 59 pieces in stock, but 60 by its ledger"],
        ),
        ("UPDATE products SET price_cents = 1 WHERE name = 'Tux'", ["I1 Tux: costs 1 cents, but 2599 by its history"]),
        ("UPDATE products SET retired = 0 WHERE name = 'Whale'", ["I1 Whale: is for sale, but not so by its history"]),
        ("UPDATE products SET retired = 1 WHERE name = 'Cat'", ["I1 Cat: is retired, but not so by its history"]),
        ("DELETE FROM product_history WHERE product = 'Bird'", ["I1 Bird: has no entry in the product history"]),
        (
            "UPDATE stock_ledger SET balance = 77 WHERE entry = 5",
            [
                "I1 Tux, ledger entry 5: says 77 pieces, but 80 and a change of -2 are 78",
                "I1 Tux, ledger entry 6: says 76 pieces, but 77 and a change of -2 are 75",
            ],
        ),
        (
            "UPDATE products SET quantity = -1 WHERE name = 'Cat';"
            "UPDATE stock_ledger SET balance = -1 WHERE key = 'cat'",
            [
                "file catalog.db: CHECK constraint failed in stock_ledger",
                "file catalog.db: CHECK constraint failed in products",
                "I1 Cat, ledger entry 17: says -1 pieces, but 0 and a change of 0 are 0",
                "I2 Cat, ledger entry 17: was oversold: -1 pieces",
                "I2 Cat: was oversold: -1 pieces",
            ],
        ),
        (
            "DELETE FROM stock_ledger WHERE key = 'k8'",
            [
                "I1 Tux, ledger entry 14: the entries 13 to 13 before it are missing",
                "I1 Tux, ledger entry 14: says 60 pieces, but 64 and a change of -2 are 62",
                "I3 order 8, key k8: ordered, but never sold",
            ],
        ),
        (
            "INSERT INTO stock_ledger VALUES (18, 'Bird', 3, 105, 'initial', NULL, 3999, 'now', NULL, NULL)",
            [
                "I1 Bird, ledger entry 18: is a second 'initial' entry",
                "I1 Bird: has 102 pieces in stock, but 105 by its ledger",
            ],
        ),
        (
            "UPDATE stock_ledger SET reason = 'restock', key = 'x' WHERE entry = 4",
            ["I1 Bird, ledger entry 4: is the first entry of its product, and not 'initial' but 'restock'"],
        ),
        (
            "DELETE FROM products WHERE name = 'Cat'",
            [
                "file catalog.db: row 17 of stock_ledger speaks of what is not in products",
                "file catalog.db: row 5 of product_history speaks of what is not in products",
                "file catalog.db: row 6 of product_history speaks of what is not in products",
                "I1 Cat: is in the ledger, but no product",
            ],
        ),
        (
            "INSERT INTO products (name, folded, price_cents, quantity) VALUES ('Dog', 'dog', 1, 0)",
            ["I1 Dog: has no entry in the ledger", "I1 Dog: has no entry in the product history"],
        ),
        (
            "UPDATE products SET folded = 'cap' WHERE name IN ('Cat', 'Whale')",
            [f"schema {name}: is not found by a search, which compares 'cap'" for name in ("Cat", "Whale")],
        ),
        (
            "UPDATE stock_ledger SET price_cents = 1 WHERE key = 'k3'",
            ["I3 order 3, key k3: price in cents 2599 ordered, 1 sold"],
        ),
        (
            "UPDATE stock_ledger SET reason = 'decrement' WHERE key = 'k3'",
            ["I3 order 3, key k3: ordered, but never sold: its key is a decrement of the ledger"],
        ),
        (
            "INSERT INTO refused VALUES ('k3', 'Tux', 2, 'out of stock', 'now')",
            ["I3 key k3: is both refused and sold at the catalog"],
        ),
        (
            "DELETE FROM refused WHERE key = 'no1'",
            ["I3 key no1: 1000 Unicorn refused in the log, but not by the catalog"],
        ),
        (
            "UPDATE refused SET quantity = 999 WHERE key = 'no0'",
            ["I3 key no0: 1000 Tux refused in the log, out of stock, but 999 Tux by the catalog, out of stock"],
        ),
        (
            "DELETE FROM refused WHERE key = 'no3'",
            ["I3 key no3: 1000 Whale refused in the log, but not by the catalog"],
        ),
    ],
)
def test_a_forged_catalog_is_named(books: Path, sql: str, lines: list[str]) -> None:
    forge(books / "catalog.db", sql)
    assert findings(books) == lines


@pytest.mark.parametrize(
    ("sql", "lines"),
    [
        (FORGED_ORDER, ["I3 order 10, key mine: ordered, but never sold"]),
        (
            "DELETE FROM orders WHERE number = 4",
            ["I3 key k4: 2 Tux sold, but never ordered", "I4 order 4: is missing"],
        ),
        (
            "DELETE FROM orders WHERE number IN (2, 3, 4)",
            [
                *(f"I3 key k{at}: 2 Tux sold, but never ordered" for at in (2, 3, 4)),
                "I4 order 2: and those up to 4 are missing",
            ],
        ),
        ("DELETE FROM orders WHERE number = 0", ["I3 key k0: 2 Tux sold, but never ordered", "I4 order 0: is missing"]),
        ("DELETE FROM orders WHERE number = 9", ["I3 key k9: 2 Tux sold, but never ordered", "I4 order 9: is missing"]),
        ("UPDATE sqlite_sequence SET seq = 5", ["I4 order 9: was not given its number by the log, whose last is 5"]),
        ("UPDATE orders SET quantity = 3 WHERE number = 5", ["I3 order 5, key k5: quantity 3 ordered, 2 sold"]),
        ("UPDATE orders SET product = 'Bird' WHERE number = 5", ["I3 order 5, key k5: product Bird ordered, Tux sold"]),
        (
            "UPDATE orders SET quantity = 1, price_cents = 7 WHERE number = 5",
            ["I3 order 5, key k5: quantity 1 ordered, 2 sold; price in cents 7 ordered, 2599 sold"],
        ),
        (
            "INSERT INTO refused SELECT key, product, quantity, 'out of stock', time FROM orders WHERE number = 1",
            [
                "I3 key k1: is both refused and order 1 in the log",
                "I3 key k1: refused in the log, but sold by the catalog: a change of -2",
            ],
        ),
        (
            "UPDATE orders SET key = 'no0' WHERE number = 1",
            [
                "I3 key k1: 2 Tux sold, but never ordered",
                "I3 order 1, key no0: ordered, but never sold: the catalog refused it, out of stock",
                "I3 key no0: is both refused and order 1 in the log",
            ],
        ),
        (
            "DELETE FROM orders WHERE number = 9; UPDATE sqlite_sequence SET seq = 8;"
            "INSERT INTO refused VALUES ('k9', 'Tux', 2, 'out of stock', 'now')",
            [
                "I3 key k9: 2 Tux sold, but never ordered: the log has it as refused, out of stock",
                "I3 key k9: refused in the log, but sold by the catalog: a change of -2",
            ],
        ),
        (
            "DELETE FROM orders WHERE number = 9; UPDATE sqlite_sequence SET seq = 8;"
            "INSERT INTO intents (key, product, quantity) VALUES ('k9', 'Bird', 2)",
            ["I3 key k9: 2 Tux sold, but never ordered: the log waits for 2 Bird"],
        ),
    ],
)
def test_a_forged_order_log_is_named(books: Path, sql: str, lines: list[str]) -> None:
    forge(books / "order.db", sql)
    assert findings(books) == lines


def test_a_key_sold_twice_is_named(books: Path) -> None:
    forge_schema(
        books / "catalog.db",
        "CREATE TABLE forged AS SELECT * FROM stock_ledger;"
        "INSERT INTO forged SELECT 18, product, -2, 58, reason, key, price_cents, time, note, sale FROM forged"
        " WHERE key = 'k3';"
        "DROP TABLE stock_ledger; ALTER TABLE forged RENAME TO stock_ledger;"
        "UPDATE products SET quantity = 58 WHERE name = 'Tux'",
    )
    lines = findings(books)
    assert "I3 key k3: stands 2 times in the ledger" in lines
    assert "schema catalog.db: stock_ledger: the table differs from the migrations" in lines


def test_a_key_ordered_twice_is_named(books: Path) -> None:
    forge_schema(
        books / "order.db",
        "CREATE TABLE forged AS SELECT * FROM orders; INSERT INTO forged SELECT 10, 'k3', product, quantity,"
        "price_cents, time FROM orders WHERE number = 3;"
        "DROP TABLE orders; ALTER TABLE forged RENAME TO orders",
    )
    assert "I3 key k3: is ordered 2 times" in findings(books)


@pytest.mark.parametrize(
    ("name", "sql", "line"),
    [
        ("order.db", "DROP TRIGGER orders_delete", "order.db: orders_delete: the trigger is missing"),
        ("catalog.db", "DROP TRIGGER refused_insert", "catalog.db: refused_insert: the trigger is missing"),
        ("catalog.db", "DROP VIEW low_stock", "catalog.db: low_stock: the view is missing"),
        (
            "order.db",
            "CREATE TRIGGER mine AFTER INSERT ON intents BEGIN SELECT 1; END",
            "order.db: mine: the trigger is none of this store's",
        ),
        (
            "order.db",
            "DROP TRIGGER orders_update; CREATE TRIGGER orders_update BEFORE UPDATE ON orders BEGIN SELECT 1; END",
            "order.db: orders_update: the trigger differs from the migrations",
        ),
    ],
)
def test_a_schema_that_differs_from_the_migrations_is_named(books: Path, name: str, sql: str, line: str) -> None:
    forge_schema(books / name, sql)
    assert findings(books) == [f"schema {line}"]


def test_the_tables_of_analyze_are_not_part_of_the_schema(books: Path) -> None:
    forge_schema(books / "order.db", "ANALYZE")
    assert findings(books) == []


def test_a_missing_table_does_not_end_the_audit(books: Path) -> None:
    forge_schema(
        books / "catalog.db",
        "DROP TRIGGER products_price; DROP TABLE product_history; UPDATE products SET price_cents = 1",
    )
    forge(books / "order.db", FORGED_ORDER)
    lines = findings(books)
    assert "schema catalog.db: product_history: the table is missing" in lines
    assert "schema stock: cannot be checked: no such table: catalog.product_history" in lines
    assert "I3 order 10, key mine: ordered, but never sold" in lines


def test_a_value_of_an_unexpected_type_does_not_end_the_audit(books: Path) -> None:
    forge_schema(
        books / "catalog.db",
        "CREATE TABLE forged AS SELECT * FROM stock_ledger; UPDATE forged SET delta = NULL WHERE entry = 6;"
        "DROP TABLE stock_ledger; ALTER TABLE forged RENAME TO stock_ledger",
    )
    lines = findings(books)
    assert any(line.startswith("schema stock: cannot be checked: ") for line in lines)
    assert any(line.startswith("I3 order 1, key k1: ") for line in lines)


def test_a_damaged_page_is_named(books: Path) -> None:
    damage_page(books / "order.db")
    assert any(line.startswith("file order.db: ") for line in findings(books))


@pytest.mark.parametrize(
    ("sale", "known"), [(None, "has not heard of it"), ("sold", "says sold"), ("refused", "says out of stock")]
)
def test_an_overdue_buy_in_doubt_is_a_discrepancy(
    books: Path, orders: OrderStore, catalog: CatalogStore, sale: str | None, known: str
) -> None:
    buy = Buy("doubt", "Tux", 1_000 if sale == "refused" else 1)
    orders.begin([buy])
    if sale:
        catalog.sell([buy])
    forge(books / "order.db", AGED_INTENTS.format(seconds=5))
    assert findings(books) == [], "it is overdue after 10 s"
    forge(books / "order.db", AGED_INTENTS.format(seconds=14))
    [line] = findings(books)
    assert re.fullmatch(rf"I6 key doubt: {buy.quantity} Tux in doubt for 1[4-9] s; the catalog {known}", line)
    [discrepancy] = run_audit(books).discrepancies
    assert discrepancy.repair == buy


def test_a_sale_without_an_order_can_be_repaired_but_a_forged_order_cannot(books: Path, catalog: CatalogStore) -> None:
    catalog.sell([Buy("lost", "Tux", 1)])
    forge(books / "order.db", FORGED_ORDER)
    assert [one.repair for one in run_audit(books).discrepancies] == [Buy("lost", "Tux", 1), None]
