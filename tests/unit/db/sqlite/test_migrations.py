"""The migrations keep every row of an earlier release's store, right or wrong, and add the newest triggers."""

import shutil
from pathlib import Path

import apsw
import pytest

from db.sqlite.audit import audit
from db.sqlite.catalog import CatalogStore
from db.sqlite.order import OrderStore
from db.sqlite.product_admin import ProductAdmin
from db.sqlite.snapshots import CATALOG, LOG, File, Snapshots
from domain.checkout import Checkout
from domain.returns import Return, Returns
from domain.values import Buy, Product
from tests.support.audit import findings
from tests.support.books import Books, assert_audit_is_clean, query
from tests.support.earlier_schemas import SOLD_ONE, older
from tests.support.forgery import forge

# 80 Tux, of which 5 were sold; 98 Bird, restocked, sold once by a direct decrement, at a new price; and a retired Cat.
PRODUCTS = """
    INSERT INTO products (name, price_cents, quantity, retired)
        VALUES ('Tux', 2599, 75, 0), ('Bird', 4999, 102, 0), ('Cat', 100, 0, 1);
    INSERT INTO stock_ledger (product, delta, balance, reason, key, price_cents, time) SELECT * FROM (VALUES
        ('Tux', 80, 80, 'initial', NULL, 2599, 'day 1'), ('Bird', 98, 98, 'initial', NULL, 3999, 'day 1'),
        ('Cat', 0, 0, 'initial', 'cat', 100, 'day 2'), ('Tux', -2, 78, 'sold', 'a', 2599, 'day 3'),
        ('Bird', 5, 103, 'restock', 'more', 3999, 'day 4'), ('Bird', -1, 102, 'decrement', 'd', 4999, 'day 5'),
        ('Tux', -3, 75, 'sold', 'b', 2599, 'day 6'));
    INSERT INTO product_history (product, what, price_cents, key, time) VALUES
        ('Tux', 'added', 2599, NULL, 'day 1'), ('Bird', 'added', 3999, NULL, 'day 1'),
        ('Cat', 'added', 100, NULL, 'day 2'),
        ('Bird', 'price', 4999, 'dearer', 'day 5'), ('Cat', 'retired', 100, 'gone', 'day 6');
    INSERT INTO refused VALUES ('no', 'Tux', 1000, 'out of stock', 'day 7');"""
ORDERS = """
    INSERT INTO orders (number, key, product, quantity, price_cents, time)
        VALUES (0, 'a', 'Tux', 2, 2599, 'day 3'), (1, 'b', 'Tux', 3, 2599, 'day 6');
    INSERT INTO refused VALUES ('no', 'Tux', 1000, 'out of stock', 'day 7');"""
KEPT = {
    "catalog.db": (
        "SELECT name, price_cents, quantity, retired FROM products",
        "SELECT entry, product, delta, balance, reason, key, price_cents, time FROM stock_ledger",
        "SELECT entry, product, what, price_cents, key, time FROM product_history",
        "SELECT * FROM refused",
    ),
    "order.db": (
        "SELECT number, key, product, quantity, price_cents, time FROM orders",
        "SELECT * FROM refused",
        "SELECT * FROM order_log",
        "SELECT * FROM sqlite_sequence",
    ),
}


def old_store(folder: Path, in_catalog: str = "", in_log: str = "") -> Path:
    """Makes a catalog of schema 2 and an order log of schema 1, and runs the given SQL in them."""
    older(
        folder, CATALOG, 2, without_triggers(PRODUCTS + in_catalog, ("stock_ledger_insert", "product_history_insert"))
    )
    older(folder, LOG, 1, ORDERS + in_log)
    return folder


def without_triggers(sql: str, names: tuple[str, ...]) -> str:
    """Drops these triggers around `sql`: they refuse a history that is inserted after its products."""
    with apsw.Connection(":memory:") as connection:
        for script in CATALOG.scripts()[:2]:
            connection.execute(script.read_text()).fetchall()
        rows = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
    triggers = {str(name): str(trigger) for name, trigger in rows}
    drop = "".join(f"DROP TRIGGER {name};" for name in names)
    return f"{drop}{sql}{''.join(f'{triggers[name]};' for name in names)}"


def kept(folder: Path) -> list[list[tuple[object, ...]]]:
    """Returns the rows that a migration must keep."""
    return [query(folder / file, sql) for file, queries in KEPT.items() for sql in queries]


def migrated(folder: Path) -> tuple[CatalogStore, OrderStore]:
    """Migrates both databases of the folder, and returns their stores."""
    catalog, orders = CatalogStore(folder / "catalog.db"), OrderStore(folder / "order.db")
    catalog.migrate()
    orders.migrate()
    return catalog, orders


def test_a_migration_keeps_every_row_number_and_key(tmp_path: Path) -> None:
    folder = old_store(tmp_path / "data")
    before = kept(folder)
    catalog, orders = migrated(folder)
    assert kept(folder) == before
    assert_audit_is_clean(folder)
    checkout = Checkout(orders, catalog)
    assert [checkout.place(Buy(key, "Tux", pieces)) for key, pieces in (("b", 3), ("c", 5), ("a", 2))] == [1, 2, 0]
    assert catalog.product("Tux") == Product("Tux", 2599, 70)
    owner = ProductAdmin(folder / "catalog.db")
    assert owner.restock("Bird", 5, "more") is False
    assert owner.price("Bird", 4999, "dearer") is False
    assert owner.add(Product("Cat", 100, 0), "cat") is False
    assert owner.retire("Cat", "gone") is False
    Books.read(folder).check()
    assert_audit_is_clean(folder)


@pytest.mark.parametrize("version", range(1, CATALOG.newest))
def test_a_migrated_schema_equals_that_of_a_new_store(tmp_path: Path, version: int) -> None:
    older(tmp_path / "data", CATALOG, version)
    older(tmp_path / "data", LOG, min(version, LOG.newest))
    migrated(tmp_path / "data")
    migrated(tmp_path / "new")
    for file in ("catalog.db", "order.db"):
        old, new = (
            query(tmp_path / folder / file, "SELECT type, name, sql FROM sqlite_schema ORDER BY type, name")
            for folder in ("data", "new")
        )
        assert old == new
    assert findings(tmp_path / "data") == []


def test_a_migration_keeps_the_last_order_number_given_out(tmp_path: Path) -> None:
    folder = old_store(tmp_path / "data", in_log="UPDATE sqlite_sequence SET seq = 4;")
    catalog, orders = migrated(folder)
    assert Checkout(orders, catalog).place(Buy("c", "Tux", 1)) == 5


@pytest.mark.parametrize(
    ("in_catalog", "lines"),
    [
        (
            "DROP TRIGGER stock_ledger_delete; DELETE FROM stock_ledger WHERE key = 'd';",
            [
                "I1 Tux, ledger entry 7: the entries 6 to 6 before it are missing",
                "I1 Bird, ledger entry 8: takes over a stock that had been changed by hand, by -1 pieces",
            ],
        ),
        (
            "PRAGMA foreign_keys = OFF; DELETE FROM products WHERE name = 'Cat';",
            [
                "file catalog.db: row 3 of stock_ledger speaks of what is not in products",
                "file catalog.db: row 3 of product_history speaks of what is not in products",
                "file catalog.db: row 5 of product_history speaks of what is not in products",
                "I1 Cat: is in the ledger, but no product",
            ],
        ),
        (
            "PRAGMA ignore_check_constraints = ON; UPDATE products SET quantity = -5 WHERE name = 'Tux';"
            "INSERT INTO stock_ledger VALUES (8, 'Tux', -80, -5, 'sold', NULL, 2599, 'day 8');",
            [
                "file catalog.db: CHECK constraint failed in stock_ledger",
                "file catalog.db: CHECK constraint failed in products",
                "I2 Tux, ledger entry 8: was oversold: -5 pieces",
                "I2 Tux: was oversold: -5 pieces",
            ],
        ),
        (
            "INSERT INTO products (name, price_cents, quantity) VALUES ('Dog', 1, 3);",
            ["I1 Dog: has no entry in the ledger", "I1 Dog: has no entry in the product history"],
        ),
        (
            "UPDATE products SET price_cents = 1, retired = 1 WHERE name = 'Tux';",
            ["I1 Tux: costs 1 cents, but 2599 by its history"],
        ),
    ],
)
def test_a_migration_keeps_wrong_rows_and_the_audit_names_them(
    tmp_path: Path, in_catalog: str, lines: list[str]
) -> None:
    folder = old_store(tmp_path / "data", in_catalog)
    catalog, _ = migrated(folder)
    named = [line for line in findings(folder) if not line.startswith(("schema", "I3"))]
    assert [line for line in lines if line not in named] == []
    catalog.sell([Buy("next", "Bird", 1)])


def test_a_row_that_fails_its_check_does_not_prevent_a_start_after_a_crash(tmp_path: Path) -> None:
    live, crashed = tmp_path / "live", tmp_path / "crashed"
    catalog, _ = migrated(live)
    catalog.load([Product("Tux", 2599, 80)])
    forge(live / "catalog.db", "UPDATE products SET quantity = -1")
    catalog.is_empty()  # opens a connection, so that the WAL stays
    shutil.copytree(live, crashed, ignore=shutil.ignore_patterns("*-shm"))
    assert (crashed / "catalog.db-wal").stat().st_size
    CatalogStore(crashed / "catalog.db").migrate()
    catalog.close()


def test_a_stock_that_was_changed_by_hand_enters_the_ledger_as_a_named_correction(tmp_path: Path) -> None:
    folder = old_store(tmp_path / "data", "UPDATE products SET quantity = 1 WHERE name = 'Tux';")
    catalog, orders = migrated(folder)
    assert Checkout(orders, catalog).place(Buy("last", "Tux", 1)) == 2
    ledger = "SELECT delta, balance, reason, note FROM stock_ledger WHERE entry > 7"
    note = "the stock had been changed by hand, beside the ledger"
    assert query(folder / "catalog.db", ledger) == [(-74, 1, "correction", note), (-1, 0, "sold", None)]
    assert findings(folder) == [
        "I1 Tux, ledger entry 8: takes over a stock that had been changed by hand, by -74 pieces"
    ], "the owner has not accepted it"
    with Snapshots(folder) as snapshots:
        assert [one.repair for one in audit(snapshots).discrepancies] == [None]


def test_the_views_show_the_same_prices_after_a_migration(tmp_path: Path) -> None:
    folder = old_store(tmp_path / "data")
    migrated(folder)
    log = "SELECT * FROM order_log"
    assert query(folder / "order.db", log) == [
        (0, "Tux", 2, "a", "day 3", 25.99, None),
        (1, "Tux", 3, "b", "day 6", 25.99, None),
        (-1, "Tux", 1000, "no", "day 7", None, "out of stock"),
    ]
    assert query(folder / "catalog.db", "SELECT * FROM for_sale") == [("Bird", 49.99, 102), ("Tux", 25.99, 75)]
    prices = "SELECT product, what, price FROM price_history WHERE product = 'Bird'"
    assert query(folder / "catalog.db", prices) == [("Bird", "added", 39.99), ("Bird", "price", 49.99)]


@pytest.mark.parametrize(
    ("file", "select"),
    [
        (CATALOG, "SELECT name, price FROM products"),
        (CATALOG, "SELECT product, sum(-delta) AS sold FROM stock_ledger GROUP BY product"),
        (CATALOG, "SELECT * FROM low_stock"),
        (CATALOG, "SELECT * FROM what_never_was"),
        (LOG, "SELECT number, price FROM orders"),
        (LOG, "SELECT count(*) AS orders FROM order_log WHERE order_number >= 0"),
    ],
)
def test_an_owners_view_does_not_prevent_a_migration(tmp_path: Path, file: File, select: str) -> None:
    statements = [
        f'CREATE VIEW "my ""own""" AS {select}',
        'CREATE TRIGGER t INSTEAD OF INSERT ON "my ""own""" BEGIN SELECT 1; END',
    ]
    path = older(tmp_path, file, 2 if file is CATALOG else 1, "; ".join(statements))
    (CatalogStore if file is CATALOG else OrderStore)(path).migrate()
    assert query(path, """SELECT sql FROM sqlite_schema WHERE name IN ('my "own"', 't') ORDER BY rowid""") == [
        (sql,) for sql in statements
    ]
    assert query(path, "PRAGMA user_version") == [(file.newest,)]


def test_the_triggers_name_the_program_that_there_is(tmp_path: Path) -> None:
    older(tmp_path, CATALOG, 5)
    CatalogStore(tmp_path / "catalog.db").migrate()
    schema = "\n".join(sql for (sql,) in query(tmp_path / "catalog.db", "SELECT sql FROM sqlite_schema WHERE sql > ''"))
    assert "python -m admin add" in schema
    assert "python -m db" not in schema


# A catalog of schema 6, before returns: 5 Tux were sold, one broke, and an owner has dropped a trigger by hand.
BEFORE_RETURNS = """
    INSERT INTO stock_ledger (product, delta, balance, reason, key, price_cents, time)
        VALUES ('Tux', 80, 80, 'initial', NULL, 2599, 'day 1'), ('Tux', -5, 75, 'sold', 'a', 2599, 'day 2');
    INSERT INTO stock_ledger (product, delta, balance, reason, key, price_cents, time, note)
        VALUES ('Tux', -1, 74, 'writeoff', 'w', 2599, 'day 3', 'torn'),
            ('Tux', 1, 75, 'correction', 'c', 2599, 'day 4', 'found');
    DROP TRIGGER stock_ledger_delete;"""
ORDERED = """
    INSERT INTO intents (key, product, quantity) VALUES ('a', 'Tux', 5);
    INSERT INTO orders (number, key, product, quantity, price_cents) VALUES (0, 'a', 'Tux', 5, 2599);
    DELETE FROM intents;"""


def test_the_migration_to_returns_keeps_every_entry_and_note(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    older(folder, CATALOG, 6, BEFORE_RETURNS)
    older(folder, LOG, 3, ORDERED)
    ledger = "SELECT entry, product, delta, balance, reason, key, price_cents, time, note FROM stock_ledger"
    before = query(folder / "catalog.db", ledger)
    assert len(before) == 4
    catalog, orders = migrated(folder)
    assert query(folder / "catalog.db", ledger) == before
    assert query(folder / "catalog.db", "SELECT DISTINCT sale FROM stock_ledger") == [(None,)]
    assert_audit_is_clean(folder)
    returns = Returns(orders, catalog)
    assert returns.give_back(Return("r", 0, 2)).returned == 2
    assert catalog.product("Tux") == Product("Tux", 2599, 77)
    Books.read(folder).check()
    assert_audit_is_clean(folder)


OWN = [
    "CREATE TABLE sold_out (product TEXT)",
    "CREATE INDEX my_index ON stock_ledger (product)",
    "CREATE TRIGGER on_ledger AFTER INSERT ON stock_ledger WHEN NEW.balance = 0 BEGIN SELECT 1; END",
    'CREATE TRIGGER "on ""products""" AFTER UPDATE ON products WHEN NEW.quantity = 0 BEGIN'
    " INSERT INTO sold_out SELECT product FROM stock_ledger ORDER BY entry DESC LIMIT 1; END",
]


@pytest.mark.parametrize(("schema", "rows", "stock"), [(3, SOLD_ONE, 8), (6, BEFORE_RETURNS, 75)])
def test_an_owners_triggers_and_indexes_work_after_a_migration(
    tmp_path: Path, schema: int, rows: str, stock: int
) -> None:
    """The ledger is made again: a trigger of another table that reads it would refuse every buy."""
    path = older(tmp_path, CATALOG, schema, rows + ";".join(OWN))
    store = CatalogStore(path)
    store.migrate()
    found = query(path, "SELECT sql FROM sqlite_schema WHERE tbl_name IN ('stock_ledger', 'products', 'sold_out')")
    assert {(sql,) for sql in OWN} <= set(found)
    store.sell([Buy("all", "Tux", stock)])
    assert query(path, "SELECT product FROM sold_out") == [("Tux",)]


def test_the_migration_to_returns_keeps_an_entry_that_fails_its_check(tmp_path: Path) -> None:
    wrong = "PRAGMA ignore_check_constraints = ON; INSERT INTO stock_ledger (product, delta, balance, reason, key,"
    wrong += " price_cents) VALUES ('Tux', -75, 0, 'sold', NULL, 2599);"
    older(tmp_path, CATALOG, 6, BEFORE_RETURNS + wrong)
    catalog, _ = migrated(tmp_path)
    assert query(tmp_path / "catalog.db", "SELECT delta, key FROM stock_ledger WHERE entry = 5") == [(-75, None)]
    assert "file catalog.db: CHECK constraint failed in stock_ledger" in findings(tmp_path)
    assert catalog.product("Tux").quantity == 0
