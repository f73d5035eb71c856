"""The triggers refuse every change in a shell that the ledger, the history or an intent does not explain."""

from pathlib import Path

import apsw
import pytest

from db.sqlite.catalog import CatalogStore
from db.sqlite.order import OrderStore
from db.sqlite.product_admin import ProductAdmin
from domain.checkout import Checkout
from domain.errors import OutOfStock
from domain.values import Buy, Product
from tests.support.books import Books, assert_audit_is_clean, query
from tests.support.forgery import forge

TABLES = {
    "catalog.db": ("products", "stock_ledger", "product_history", "refused", "accepted_discrepancies"),
    "order.db": ("orders", "refused", "intents", "sqlite_sequence"),
}


@pytest.fixture
def store(checkout: Checkout, catalog: CatalogStore, orders: OrderStore, tmp_path: Path) -> Path:
    """A store with a sale, a refused buy, a restock, a new price, a retired product and a buy in doubt."""
    checkout.place(Buy("a", "Tux", 2))
    with pytest.raises(OutOfStock):
        checkout.place(Buy("no", "Tux", 1_000))
    owner = ProductAdmin(tmp_path / "catalog.db")
    owner.restock("Bird", 2, "more")
    owner.price("Bird", 100, "cheap")
    owner.retire("Whale", "gone")
    owner.close()
    orders.begin([Buy("doubt", "Bird", 1)])
    return tmp_path


def rows(store: Path) -> list[list[tuple[object, ...]]]:
    """Returns all rows of both databases."""
    return [query(store / file, f"SELECT * FROM {table}") for file, tables in TABLES.items() for table in tables]


def by_hand(path: Path, sql: str) -> None:
    """Runs `sql` as the sqlite3 shell does: without foreign keys and without the store's pragmas."""
    shell = apsw.Connection(str(path))
    try:
        shell.execute(sql).fetchall()
    finally:
        shell.close()


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("UPDATE products SET quantity = 1", "use python -m admin restock, writeoff or correct"),
        ("UPDATE products SET quantity = 1 WHERE name = 'Tux'", "the stock is the last balance of the ledger"),
        ("UPDATE products SET quantity = quantity + 1 WHERE name = 'Bird'", "the last balance"),
        ("UPDATE products SET quantity = 80 WHERE name = 'Tux'", "the last balance"),  # an older one
        ("UPDATE products SET quantity = 0 WHERE name = 'Whale'", "the last balance"),
        ("UPDATE OR IGNORE products SET quantity = 1", "the last balance"),
        ("UPDATE OR REPLACE products SET quantity = 1", "the last balance"),
        ("UPDATE products SET price_cents = 1", "use python -m admin price or retire"),
        ("UPDATE products SET price_cents = 3999 WHERE name = 'Bird'", "as its history says"),  # an older one
        ("UPDATE products SET retired = 1 WHERE name = 'Tux'", "as its history says"),
        ("UPDATE products SET retired = 0 WHERE name = 'Whale'", "as its history says"),
        ("UPDATE products SET retired = 0, quantity = 1, price_cents = 7", "python -m admin"),
        ("UPDATE products SET name = 'Penguin' WHERE name = 'Tux'", "a product keeps its name"),
        ("UPDATE OR REPLACE products SET name = 'Bird' WHERE name = 'Tux'", "a product keeps its name"),
        ("DELETE FROM products", "use python -m admin retire"),
        ("DELETE FROM products WHERE name = 'Whale'", "a product stays in the books"),
        ("INSERT INTO products (name, price_cents, quantity) VALUES ('Cat', 1, 0)", "use python -m admin add"),
        ("INSERT OR IGNORE INTO products (name, price_cents, quantity) VALUES ('Cat', 1, 5)", "python -m admin add"),
        ("INSERT INTO products (name, price_cents, quantity) VALUES ('Tux', 1, 5)", "there is or was such a product"),
        ("REPLACE INTO products (name, price_cents, quantity) VALUES ('Tux', 2599, 5)", "there is or was"),
        ("REPLACE INTO products (name, price_cents, quantity) SELECT name, 1, 1 FROM products", "there is or was"),
        (
            "INSERT INTO products (name, price_cents, quantity) VALUES ('Tux', 1, 5)"
            " ON CONFLICT DO UPDATE SET quantity = 5",
            "there is or was",
        ),
        (
            "INSERT INTO stock_ledger (product, delta, balance, reason, key, price_cents)"
            " VALUES ('Tux', 22, 22, 'restock', 'x', 2599)",
            "leads from the stock of its product",
        ),
        (
            "INSERT INTO stock_ledger (product, delta, balance, reason, key, price_cents)"
            " VALUES ('Tux', 1, 79, 'restock', 'x', 1)",
            "at its price",
        ),
        (
            "INSERT INTO stock_ledger (product, delta, balance, reason, key, price_cents)"
            " VALUES ('Cat', 1, 1, 'restock', 'x', 1)",
            "leads from the stock of its product",
        ),
        (
            "INSERT INTO stock_ledger (product, delta, balance, reason, price_cents)"
            " VALUES ('Tux', 5, 5, 'initial', 2599)",
            "leads from the stock of its product",
        ),
        (
            "INSERT INTO stock_ledger (product, delta, balance, reason, price_cents)"
            " VALUES ('Cat', 5, 6, 'initial', 1)",
            "leads from the stock of its product",
        ),
        (
            "INSERT INTO stock_ledger (product, delta, balance, reason, key, price_cents, note)"
            " VALUES ('Tux', 1, 80, 'correction', 'x', 2599, 'because')",
            "leads from the stock of its product",
        ),
        *(
            (
                "INSERT INTO stock_ledger (entry, product, delta, balance, reason, key, price_cents)"
                f" VALUES ({entry}, 'Tux', 1, 79, 'restock', 'x', 2599)",
                "have no gap",
            )
            for entry in (8, 99, 0, -1, -7, 2**63 - 1)
        ),
        ("REPLACE INTO stock_ledger SELECT * FROM stock_ledger", "append-only"),
        (
            "REPLACE INTO stock_ledger (product, delta, balance, reason, key, price_cents)"
            " VALUES ('Tux', 1, 79, 'restock', 'a', 2599)",
            "sold at most once",
        ),
        (
            "INSERT INTO product_history (product, what, price_cents, key) VALUES ('Cat', 'added', 1, 'x')",
            "use python -m admin add",
        ),
        (
            "INSERT INTO product_history (product, what, price_cents, key) VALUES ('Bird', 'added', 100, 'x')",
            "use python -m admin add",
        ),
        (
            "INSERT INTO product_history (product, what, price_cents, key) VALUES ('Whale', 'price', 1, 'x')",
            "only what is for sale",
        ),
        (
            "INSERT INTO product_history (product, what, price_cents, key) VALUES ('Whale', 'retired', 3499, 'x')",
            "only what is for sale",
        ),
        *(
            (
                "INSERT INTO product_history (entry, product, what, price_cents, key)"
                f" VALUES ({entry}, 'Tux', 'price', 1, 'x')",
                "have no gap",
            )
            for entry in (8, 99, 0, -1)
        ),
    ],
)
def test_the_catalog_refuses_rows_that_its_books_cannot_explain(store: Path, sql: str, message: str) -> None:
    before = rows(store)
    with pytest.raises(apsw.ConstraintError, match=message):
        by_hand(store / "catalog.db", sql)
    assert rows(store) == before
    assert_audit_is_clean(store)


ORDER = "INTO orders (key, product, quantity, price_cents) VALUES"


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        (f"INSERT {ORDER} ('mine', 'Tux', 1, 2599)", "the end of a buy in doubt"),
        (f"REPLACE {ORDER} ('mine', 'Tux', 1, 2599)", "the end of a buy in doubt"),
        (f"INSERT OR IGNORE {ORDER} ('doubt', 'Bird', 2, 100)", "the end of a buy in doubt"),
        (f"INSERT {ORDER} ('doubt', 'Tux', 1, 100)", "the end of a buy in doubt"),
        (
            "INSERT INTO refused (key, product, quantity, reason) VALUES ('x', 'Tux', 1, 'out of stock')",
            "the end of a buy",
        ),
        ("UPDATE orders SET quantity = 1", "append-only"),
        ("DELETE FROM orders", "append-only"),
        ("UPDATE intents SET quantity = 2", "does not change"),
        ("UPDATE intents SET time = 'yesterday'", "does not change"),
        ("UPDATE OR REPLACE intents SET key = 'a'", "does not change"),
        ("REPLACE INTO intents (key, product, quantity) VALUES ('doubt', 'Tux', 9)", "not replaced"),
        ("REPLACE INTO intents SELECT begun, 'x', 'Tux', 9, 'now' FROM intents", "not replaced"),
    ],
)
def test_the_order_log_refuses_rows_that_its_books_cannot_explain(store: Path, sql: str, message: str) -> None:
    before = rows(store)
    with pytest.raises(apsw.ConstraintError, match=message):
        by_hand(store / "order.db", sql)
    assert rows(store) == before
    assert_audit_is_clean(store)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE products SET quantity = quantity, price_cents = price_cents, retired = retired, name = name",
        "UPDATE products SET quantity = 78 WHERE name = 'Tux'",
        "INSERT INTO stock_ledger (product, delta, balance, reason, key, price_cents)"
        " VALUES ('Tux', 5, 83, 'restock', 'by hand', 2599)",
        "INSERT INTO stock_ledger (product, delta, balance, reason, price_cents) VALUES ('Cat', 5, 5, 'initial', 150)",
        "INSERT INTO product_history (product, what, price_cents, key) VALUES ('Tux', 'price', 1, 'by hand')",
        "INSERT INTO product_history (product, what, price_cents, key) VALUES ('Tux', 'retired', 2599, 'by hand')",
    ],
)
def test_a_valid_entry_by_hand_updates_its_product(store: Path, sql: str) -> None:
    by_hand(store / "catalog.db", sql)
    assert_audit_is_clean(store)


def test_a_first_entry_creates_its_product_and_its_history(store: Path, catalog: CatalogStore) -> None:
    by_hand(
        store / "catalog.db",
        "INSERT INTO stock_ledger (product, delta, balance, reason, price_cents) VALUES ('Cat', 5, 5, 'initial', 150)",
    )
    assert catalog.product("Cat") == Product("Cat", 150, 5)
    history = "SELECT what, price_cents, key FROM product_history WHERE product = 'Cat'"
    assert query(store / "catalog.db", history) == [("added", 150, None)]


@pytest.mark.parametrize(
    ("forged", "back"),
    [
        ("UPDATE products SET quantity = 7 WHERE name = 'Tux'", "UPDATE products SET quantity = 78 WHERE name = 'Tux'"),
        (
            "UPDATE products SET price_cents = 7, retired = 1 WHERE name = 'Tux'",
            "UPDATE products SET price_cents = 2599, retired = 0 WHERE name = 'Tux'",
        ),
        (
            "DELETE FROM products WHERE name = 'Tux'",
            "INSERT INTO products (name, price_cents, quantity) VALUES ('Tux', 2599, 78)",
        ),
    ],
)
def test_a_forged_product_may_be_set_back_to_its_books(store: Path, forged: str, back: str) -> None:
    forge(store / "catalog.db", forged)
    by_hand(store / "catalog.db", back)
    assert_audit_is_clean(store)


def test_a_buy_in_doubt_that_was_deleted_by_hand_is_found_by_its_sale(
    store: Path, catalog: CatalogStore, checkout: Checkout
) -> None:
    """No trigger can refuse this, because the order tier deletes intents too. See docs/books.md."""
    catalog.sell([Buy("doubt", "Bird", 1)])
    by_hand(store / "order.db", "DELETE FROM intents")
    with pytest.raises(AssertionError, match="key doubt: 1 Bird sold, but never ordered"):
        assert_audit_is_clean(store)
    assert checkout.place(Buy("doubt", "Bird", 1)) == 1
    Books.read(store).check()
