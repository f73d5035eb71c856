"""The triggers refuse every change in psql that the ledger or the history does not explain."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from db.postgres.catalog import CatalogStore
from db.postgres.owner_catalog import OwnerCatalogStore
from domain.errors import OutOfStock
from domain.returns import SaleReturn, TakenBack
from domain.values import Buy, Product, Sold

TABLES = ("products", "stock_ledger", "product_history", "refused", "accepted_discrepancies", "store")
ACCEPTED = "INSERT INTO accepted_discrepancies (fingerprint, promise, subject, finding, note, accepted_by, key)"
ENTRY = "INSERT INTO stock_ledger (product, delta, balance, reason, key, price_cents, note, sale) VALUES"
HISTORY = "INSERT INTO product_history (product, what, price_cents, key) VALUES"

Shell = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture
def shell(catalog: CatalogStore, owner_catalog: OwnerCatalogStore, store_address: str) -> Iterator[Shell]:
    """A shell on a catalog with a sale of 5 Tux, of which 2 came back, a refused buy, a restock, a new price, a retired
    product and an accepted discrepancy."""
    assert catalog.sell([Buy("a", "Tux", 5), Buy("no", "Tux", 1_000)]) == [Sold(2599), OutOfStock()]
    assert catalog.take_back([SaleReturn("r", "a", "Tux", 2)]) == [TakenBack()]
    owner_catalog.restock("Bird", 2, "more")
    owner_catalog.price("Bird", 100, "cheap")
    owner_catalog.retire("Whale", "gone")
    with psycopg.connect(store_address, autocommit=True, options="-c search_path=catalog") as shell:
        shell.execute(f"{ACCEPTED} VALUES ('0123456789ab', 'I1', 'Tux', 'gap', 'known', 'me', 'accepted')".encode())
        yield shell


def rows(shell: Shell) -> list[list[tuple[Any, ...]]]:
    """Returns all rows of the catalog."""
    return [shell.execute(f"SELECT * FROM {table} ORDER BY 1".encode()).fetchall() for table in TABLES]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("UPDATE products SET quantity = 1", "use python -m admin restock, writeoff or correct"),
        ("UPDATE products SET quantity = 1 WHERE name = 'Tux'", "the stock is the last balance of the ledger"),
        ("UPDATE products SET quantity = quantity + 1 WHERE name = 'Bird'", "the last balance"),
        ("UPDATE products SET quantity = 80 WHERE name = 'Tux'", "the last balance"),  # an older one
        ("UPDATE products SET quantity = 0 WHERE name = 'Whale'", "the last balance"),
        ("UPDATE products SET quantity = -1 WHERE name = 'Tux'", "the last balance"),
        ("UPDATE products SET price_cents = 1", "use python -m admin price or retire"),
        ("UPDATE products SET price_cents = 3999 WHERE name = 'Bird'", "as its history says"),  # an older one
        ("UPDATE products SET retired = TRUE WHERE name = 'Tux'", "as its history says"),
        ("UPDATE products SET retired = FALSE WHERE name = 'Whale'", "as its history says"),
        ("UPDATE products SET retired = FALSE, quantity = 1, price_cents = 7", "python -m admin"),
        ("UPDATE products SET name = 'Penguin' WHERE name = 'Elephant'", "a product keeps its name"),
        ("DELETE FROM products", "use python -m admin retire"),
        ("DELETE FROM products WHERE name = 'Whale'", "a product stays in the books"),
        ("TRUNCATE products CASCADE", "append-only|a product stays in the books"),
        ("INSERT INTO products (name, price_cents, quantity) VALUES ('Cat', 1, 0)", "use python -m admin add"),
        ("INSERT INTO products (name, price_cents, quantity) VALUES ('Tux', 2599, 77)", "there is or was such a"),
        (
            "INSERT INTO products (name, price_cents, quantity) VALUES ('Tux', 1, 5)"
            " ON CONFLICT (name) DO UPDATE SET quantity = 5",
            "there is or was",
        ),
        ("UPDATE stock_ledger SET delta = 1", "append-only"),
        ("UPDATE stock_ledger SET delta = 1 WHERE FALSE", "append-only"),
        ("DELETE FROM stock_ledger", "append-only"),
        ("TRUNCATE stock_ledger", "append-only"),
        (f"{ENTRY} ('Tux', -1, 76, 'sold', 'a', 2599, NULL, NULL)", "a_key_is_sold_at_most_once"),
        (f"{ENTRY} ('Tux', -1, 76, 'sold', 'no', 2599, NULL, NULL)", "never both"),
        (f"{ENTRY} ('Tux', -1, 5, 'sold', 'x', 2599, NULL, NULL)", "leads from the stock"),
        (f"{ENTRY} ('Tux', -1, 76, 'sold', 'x', 1, NULL, NULL)", "at its price"),
        (f"{ENTRY} ('Tux', 22, 22, 'restock', 'x', 2599, NULL, NULL)", "leads from the stock of its product"),
        (f"{ENTRY} ('Cat', 1, 1, 'restock', 'x', 1, NULL, NULL)", "leads from the stock of its product"),
        (f"{ENTRY} ('Tux', 5, 5, 'initial', NULL, 2599, NULL, NULL)", "use python -m admin restock or correct"),
        (f"{ENTRY} ('Cat', 5, 6, 'initial', NULL, 1, NULL, NULL)", "leads from the stock of its product"),
        (f"{ENTRY} ('Tux', 1, 80, 'correction', 'x', 2599, 'because', NULL)", "leads from the stock"),
        (f"{ENTRY} ('Cat', 1, 1, 'correction', 'x', 1, 'because', NULL)", "leads from the stock"),
        (
            f"{ENTRY} ('Tux', 1, 78, 'restock', 'x', 2599, NULL, NULL),"
            " ('Tux', 1, 78, 'restock', 'y', 2599, NULL, NULL)",
            "leads from the stock",  # the second entry of the statement does not go on from the first
        ),
        (
            f"{ENTRY} ('Cat', 5, 5, 'initial', NULL, 1, NULL, NULL), ('Cat', 5, 5, 'initial', NULL, 1, NULL, NULL)",
            "leads from the stock",
        ),
        (
            "INSERT INTO stock_ledger (entry, product, delta, balance, reason, key, price_cents)"
            " VALUES (99, 'Tux', 1, 78, 'restock', 'x', 2599)",
            "GENERATED ALWAYS",
        ),
        (f"{ENTRY} ('Tux', 4, 81, 'returned', 'x', 2599, NULL, 'a')", "no more than were sold"),
        (f"{ENTRY} ('Bird', 1, 101, 'returned', 'x', 100, NULL, 'a')", "no more than were sold"),
        (f"{ENTRY} ('Tux', 1, 78, 'returned', 'x', 2599, NULL, 'nix')", "no more than were sold"),
        (f"{ENTRY} ('Tux', 1, 78, 'returned', 'x', 2599, NULL, 'r')", "no more than were sold"),
        (
            f"{ENTRY} ('Tux', 2, 79, 'returned', 'x', 2599, NULL, 'a'),"
            " ('Tux', 2, 81, 'returned', 'y', 2599, NULL, 'a')",
            "no more than were sold",
        ),
        (f"{ENTRY} ('Tux', 1, 78, 'sold', 'x', 2599, NULL, NULL)", "check constraint"),
        (f"{ENTRY} ('Tux', -1, 76, 'restock', 'x', 2599, NULL, NULL)", "check constraint"),
        (f"{ENTRY} ('Tux', 1, 78, 'writeoff', 'x', 2599, 'y', NULL)", "check constraint"),
        (f"{ENTRY} ('Tux', -1, 76, 'writeoff', 'x', 2599, NULL, NULL)", "check constraint"),
        (f"{ENTRY} ('Tux', -1, 76, 'sold', 'x', 2599, 'a note', NULL)", "check constraint"),
        (f"{ENTRY} ('Tux', -1, 76, 'sold', NULL, 2599, NULL, NULL)", "check constraint"),
        (f"{ENTRY} ('Tux', 1, 78, 'returned', 'x', 2599, NULL, NULL)", "check constraint"),
        (f"{ENTRY} ('Tux', 1, 78, 'restock', 'x', 2599, NULL, 'a')", "check constraint"),
        (f"{ENTRY} ('Tux', -78, -1, 'sold', 'x', 2599, NULL, NULL)", "check constraint"),
        ("UPDATE refused SET quantity = 1", "append-only"),
        ("DELETE FROM refused", "append-only"),
        ("TRUNCATE refused", "append-only"),
        ("INSERT INTO refused VALUES ('no', 'Tux', 1, 'out of stock')", "refused_pkey"),
        ("INSERT INTO refused VALUES ('a', 'Tux', 1, 'out of stock')", "never both"),
        ("INSERT INTO refused VALUES ('x', 'Tux', 1, 'sulky')", "check constraint"),
        ("UPDATE product_history SET what = 'added'", "append-only"),
        ("DELETE FROM product_history", "append-only"),
        ("TRUNCATE product_history", "append-only"),
        (f"{HISTORY} ('Cat', 'added', 1, 'x')", "foreign key|use python -m admin add"),
        (f"{HISTORY} ('Bird', 'added', 100, 'x')", "use python -m admin add"),
        (f"{HISTORY} ('Whale', 'price', 1, 'x')", "only what is for sale"),
        (f"{HISTORY} ('Whale', 'retired', 3499, 'x')", "only what is for sale"),
        (f"{HISTORY} ('Tux', 'retired', 1, 'x')", "retiring changes no price"),
        (f"{HISTORY} ('Tux', 'retired', 2599, 'x'), ('Tux', 'price', 1, 'y')", "only what is for sale"),
        (f"{HISTORY} ('Tux', 'price', 1, 'cheap')", "a_key_changes_a_product_at_most_once"),
        (f"{HISTORY} ('Tux', 'price', 1, 'a')", "never both"),
        (f"{HISTORY} ('Tux', 'price', 1, NULL)", "check constraint"),
        (f"{HISTORY} ('Tux', 'melted', 2599, 'x')", "check constraint"),
        ("UPDATE accepted_discrepancies SET note = 'x'", "append-only"),
        ("DELETE FROM accepted_discrepancies", "append-only"),
        ("TRUNCATE accepted_discrepancies", "append-only"),
        (f"{ACCEPTED} VALUES ('0123456789ab', 'I1', 'Tux', 'gap', 'known', 'me', 'x')", "accepted_at_most_once"),
        (f"{ACCEPTED} VALUES ('0123456789ac', 'I1', 'Tux', 'gap', 'known', 'me', 'accepted')", "accepts_at_most_one"),
        ("UPDATE store SET id = id", "of one store for ever"),
        ("DELETE FROM store", "of one store for ever"),
        ("TRUNCATE store", "of one store for ever"),
        ("INSERT INTO store (id) VALUES (repeat('0', 32))", "of one store for ever"),
    ],
)
def test_the_catalog_refuses_a_change_that_its_books_do_not_explain(shell: Shell, sql: str, message: str) -> None:
    before = rows(shell)
    with pytest.raises(psycopg.Error, match=message):
        shell.execute(sql.encode())
    assert rows(shell) == before


@pytest.mark.parametrize(
    ("sql", "product"),
    [
        (
            "UPDATE products SET quantity = quantity, price_cents = price_cents, retired = retired, name = name",
            ("Tux", 2599, 77, False),
        ),
        ("UPDATE products SET quantity = 77 WHERE name = 'Tux'", ("Tux", 2599, 77, False)),
        (f"{ENTRY} ('Tux', 5, 82, 'restock', 'by hand', 2599, NULL, NULL)", ("Tux", 2599, 82, False)),
        (
            f"{ENTRY} ('Tux', 5, 82, 'restock', 'x', 2599, NULL, NULL),"
            " ('Bird', 1, 101, 'restock', 'y', 100, NULL, NULL), ('Tux', -2, 80, 'sold', 'z', 2599, NULL, NULL)",
            ("Tux", 2599, 80, False),
        ),
        (f"{ENTRY} ('Tux', 2, 79, 'returned', 'by hand', 2599, NULL, 'a')", ("Tux", 2599, 79, False)),
        (f"{ENTRY} ('Cat', 5, 5, 'initial', NULL, 150, NULL, NULL)", ("Cat", 150, 5, False)),
        (f"{HISTORY} ('Tux', 'price', 1, 'by hand')", ("Tux", 1, 77, False)),
        (f"{HISTORY} ('Tux', 'price', 1, 'by hand'), ('Tux', 'retired', 1, 'too')", ("Tux", 1, 77, True)),
        (f"{HISTORY} ('Tux', 'retired', 2599, 'by hand')", ("Tux", 2599, 77, True)),
    ],
)
def test_a_valid_entry_by_hand_updates_its_product(shell: Shell, sql: str, product: tuple[object, ...]) -> None:
    shell.execute(sql.encode())
    assert product in shell.execute("SELECT name, price_cents, quantity, retired FROM products").fetchall()


def test_a_first_entry_creates_its_product_and_its_history(shell: Shell, catalog: CatalogStore) -> None:
    shell.execute(f"{ENTRY} ('Cat É', 5, 5, 'initial', NULL, 150, NULL, NULL)".encode())
    assert catalog.product("Cat É") == Product("Cat É", 150, 5)
    history = "SELECT what, price_cents, key FROM product_history WHERE product = 'Cat É'"
    assert shell.execute(history.encode()).fetchall() == [("added", 150, None)]
    assert b'"Cat ' in catalog.products(q="cAt", limit=1), "as far as its name is ASCII, a search finds it"


@pytest.mark.parametrize(
    "back",
    [
        "UPDATE products SET quantity = 77 WHERE name = 'Tux'",
        f"{ENTRY} ('Tux', 1, 78, 'correction', 'counted', 2599, 'after the burglary', NULL)",
    ],
)
def test_a_forged_stock_is_set_back_to_its_ledger(shell: Shell, catalog: CatalogStore, back: str) -> None:
    shell.execute("ALTER TABLE products DISABLE TRIGGER USER")
    shell.execute("UPDATE products SET quantity = 7 WHERE name = 'Tux'")
    shell.execute("ALTER TABLE products ENABLE TRIGGER USER")
    shell.execute(back.encode())
    assert catalog.product("Tux").quantity in (77, 78)


def test_a_lost_row_of_a_product_is_put_back_as_its_books_say(shell: Shell, catalog: CatalogStore) -> None:
    shell.execute("ALTER TABLE products DISABLE TRIGGER USER")
    shell.execute("ALTER TABLE product_history DROP CONSTRAINT product_history_product_fkey")
    shell.execute("DELETE FROM products WHERE name = 'Tux'")
    shell.execute("ALTER TABLE products ENABLE TRIGGER USER")
    with pytest.raises(psycopg.Error, match="as its ledger and its history say"):
        shell.execute("INSERT INTO products (name, price_cents, quantity) VALUES ('Tux', 2599, 78)")
    shell.execute("INSERT INTO products (name, price_cents, quantity) VALUES ('Tux', 2599, 77)")
    assert catalog.product("Tux") == Product("Tux", 2599, 77)


def test_the_views_show_what_sqlites_show(shell: Shell, catalog: CatalogStore) -> None:
    catalog.sell([Buy("most", "Tux", 72)])
    assert shell.execute("SELECT * FROM low_stock").fetchall() == [("Tux", 5, 25.99)]
    names = [name for name, *_ in shell.execute("SELECT name, price, quantity FROM for_sale").fetchall()]
    assert names == ["Bird", "Elephant", "Tux"]
    prices = shell.execute("SELECT what, price, key FROM price_history WHERE product = 'Bird'").fetchall()
    assert prices == [("added", 39.99, None), ("price", 1.0, "cheap")]
