"""The owner's changes of products: each happens once for its key, and its entry explains the product."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest

from db.sqlite.catalog import APPLICATION_ID, MIGRATIONS, CatalogStore
from db.sqlite.migrate import migrate
from db.sqlite.order import OrderStore
from db.sqlite.product_admin import ProductAdmin
from domain.checkout import Checkout
from domain.errors import OutOfStock, ProductNotFound
from domain.values import Buy, Product, Sold
from tests.contracts.product_changes import ProductChangesContract
from tests.support.books import Books, assert_audit_is_clean, query
from tests.support.forgery import forge, forge_schema


class TestProductAdmin(ProductChangesContract):
    """The owner's program, on the catalog's file."""

    @pytest.fixture
    def owner(self, catalog: CatalogStore, tmp_path: Path) -> Iterator[ProductAdmin]:
        with closing(ProductAdmin(tmp_path / "catalog.db")) as owner:
            yield owner


@pytest.fixture
def owner(catalog: CatalogStore, tmp_path: Path) -> Iterator[ProductAdmin]:
    owner = ProductAdmin(tmp_path / "catalog.db")
    yield owner
    owner.close()


def rows(tmp_path: Path) -> list[list[tuple[object, ...]]]:
    """Returns all rows of the catalog."""
    tables = ("products", "stock_ledger", "product_history", "refused")
    return [query(tmp_path / "catalog.db", f"SELECT * FROM {table}") for table in tables]


def history(tmp_path: Path) -> list[tuple[object, ...]]:
    """Returns the product history after the entries of the first four products."""
    return query(tmp_path / "catalog.db", "SELECT product, what, price_cents, key FROM product_history WHERE entry > 4")


@pytest.mark.parametrize("counted", [80, 7, 3])
def test_a_correction_makes_a_forged_stock_match_its_ledger(
    owner: ProductAdmin, orders: OrderStore, catalog: CatalogStore, tmp_path: Path, counted: int
) -> None:
    forge(tmp_path / "catalog.db", "UPDATE products SET quantity = 7 WHERE name = 'Tux'")
    owner.correct("Tux", counted, "counted after the burglary", "k")
    assert catalog.product("Tux").quantity == counted
    assert_audit_is_clean(tmp_path)


def test_a_retired_product_can_be_corrected_but_not_written_off(
    owner: ProductAdmin, orders: OrderStore, tmp_path: Path
) -> None:
    owner.retire("Tux", "gone")
    with pytest.raises(ProductNotFound, match="'Tux' was retired"):
        owner.writeoff("Tux", 1, "broken", "k")
    assert owner.correct("Tux", 0, "given away", "k") is True
    assert_audit_is_clean(tmp_path)


def test_a_new_price_applies_to_later_buys_only(owner: ProductAdmin, checkout: Checkout, tmp_path: Path) -> None:
    checkout.place(Buy("before", "Tux", 1))
    assert owner.price("Tux", 1999, "k") is True
    checkout.place(Buy("after", "Tux", 1))
    checkout.place(Buy("before", "Tux", 1))
    assert [checkout.order(number).price_cents for number in (0, 1)] == [2599, 1999]
    assert history(tmp_path) == [("Tux", "price", 1999, "k")]


def test_keys_of_a_retired_product_keep_their_answers(
    owner: ProductAdmin, checkout: Checkout, catalog: CatalogStore, tmp_path: Path
) -> None:
    bought, refused, in_flight = Buy("a", "Tux", 1), Buy("b", "Tux", 81), Buy("c", "Tux", 2)
    checkout.place(bought)
    with pytest.raises(OutOfStock):
        checkout.place(refused)
    catalog.sell([in_flight])  # its reply was lost
    owner.retire("Tux", "k")
    assert checkout.place(bought) == 0
    with pytest.raises(OutOfStock):
        checkout.place(refused)
    assert checkout.place(in_flight) == 1
    Books.read(tmp_path).check()


def test_a_buy_in_doubt_of_a_retired_product_is_refused(
    owner: ProductAdmin, checkout: Checkout, orders: OrderStore, tmp_path: Path
) -> None:
    orders.begin([Buy("a", "Tux", 1)])
    owner.retire("Tux", "k")
    checkout.settle(checkout.intents(10))
    books = Books.read(tmp_path)
    books.check()
    assert books.refused == {"a": "product not found"}


def test_the_books_add_up_after_every_kind_of_change(owner: ProductAdmin, checkout: Checkout, tmp_path: Path) -> None:
    owner.add(Product("Cat", 150, 3), "a")
    checkout.place(Buy("x", "Cat", 3))
    owner.restock("Cat", 3, "b")
    owner.writeoff("Cat", 1, "broken", "w")
    checkout.place(Buy("y", "Cat", 2))
    owner.retire("Cat", "c")
    books = Books.read(tmp_path)
    books.check()
    assert books.products["Cat"] == 0


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("UPDATE product_history SET what = 'added'", "append-only"),
        ("DELETE FROM product_history", "append-only"),
        ("REPLACE INTO product_history SELECT * FROM product_history WHERE entry = 1", "append-only"),
        ("INSERT INTO product_history VALUES (99, 'Tux', 'price', 2599, 'priced', 'now')", "at most once"),
        ("INSERT INTO product_history VALUES (99, 'Tux', 'price', 2599, 'sold', 'now')", "never both"),
        ("INSERT INTO product_history VALUES (99, 'Tux', 'added', 1, 'x', 'now')", "use python -m admin add"),
        ("INSERT INTO product_history VALUES (99, 'Tux', 'retired', 1, 'x', 'now')", "retiring changes no price"),
        ("INSERT INTO product_history VALUES (99, 'Nix', 'price', 1, 'x', 'now')", "only what is for sale"),
        ("INSERT INTO product_history VALUES (99, 'Tux', 'price', 2599, NULL, 'now')", "CHECK"),
        ("INSERT INTO product_history VALUES (99, 'Tux', 'melted', 2599, 'x', 'now')", "CHECK"),
        ("DROP TRIGGER products_price; UPDATE products SET retired = 2", "CHECK"),
    ],
)
def test_the_schema_itself_enforces_the_rules(
    owner: ProductAdmin, catalog: CatalogStore, tmp_path: Path, sql: str, message: str
) -> None:
    owner.price("Tux", 2599, "priced")
    catalog.sell([Buy("sold", "Tux", 1)])
    columns = "product_history (entry, product, what, price_cents, key, time)"
    sql = sql.replace("INTO product_history VALUES", f"INTO {columns} VALUES").replace(
        "INTO product_history SELECT *", f"INTO {columns} SELECT entry, product, what, price_cents, key, time"
    )
    with pytest.raises(apsw.Error, match=message):
        forge_schema(tmp_path / "catalog.db", sql)


def test_a_store_from_before_the_product_history_is_upgraded(catalog: CatalogStore, tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir()
    first = old / "migrations" / "0001_catalog.sql"
    first.parent.mkdir()
    first.write_bytes((MIGRATIONS / first.name).read_bytes())
    migrate(old / "catalog.db", first.parent, APPLICATION_ID)
    forge_schema(
        old / "catalog.db",
        "INSERT INTO products (name, price_cents, quantity) VALUES ('Tux', 2599, 80), ('Bird', 3999, 98);"
        "INSERT INTO stock_ledger VALUES (1, 'Tux', 80, 80, 'initial', NULL, 2599, 'then');"
        "INSERT INTO stock_ledger VALUES (2, 'Bird', 98, 98, 'initial', NULL, 3999, 'later');"
        "UPDATE products SET quantity = 78 WHERE name = 'Tux';"
        "INSERT INTO stock_ledger VALUES (3, 'Tux', -2, 78, 'sold', 'k', 2599, 'last');"
        "UPDATE products SET price_cents = 1999 WHERE name = 'Tux'",  # the schema of that time has no history of prices
    )
    store = CatalogStore(old / "catalog.db")
    store.migrate()
    assert store.product("Tux") == Product("Tux", 1999, 78)
    assert store.sell([Buy("k", "Tux", 2), Buy("l", "Tux", 1)]) == [Sold(2599), Sold(1999)]
    kept = query(old / "catalog.db", "SELECT product, what, price_cents, key, time FROM product_history")
    assert kept == [("Tux", "added", 1999, None, "then"), ("Bird", "added", 3999, None, "later")]
    store.close()
    upgraded = query(old / "catalog.db", "SELECT type, name, sql FROM sqlite_schema ORDER BY name")
    assert upgraded == query(tmp_path / "catalog.db", "SELECT type, name, sql FROM sqlite_schema ORDER BY name")


def test_adding_a_product_takes_the_same_work_however_long_the_ledger_is(tmp_path: Path) -> None:
    """Buys wait for the write lock meanwhile. Steps of SQLite's virtual machine are counted, because time varies."""
    steps: dict[int, int] = {}
    for size in (10, 1_000):
        with (
            closing(CatalogStore(tmp_path / f"{size}.db")) as store,
            closing(ProductAdmin(store._database.path)) as owner,
        ):
            store.migrate()
            store.load(Product(f"n{number}", 1, 1) for number in range(size))
            owner.restock("n0", 1, "first")  # opens the connection
            connection = owner._database._connection()

            def count(event: dict[str, Any], size: int = size) -> None:
                if "INSERT INTO stock_ledger" in event["sql"]:
                    steps[size] = event["stmt_status"]["SQLITE_STMTSTATUS_VM_STEP"]

            connection.trace_v2(apsw.SQLITE_TRACE_PROFILE, count)
            owner.add(Product("new", 1, 1), "add")
            connection.trace_v2(0, None)
            assert connection.pragma("foreign_keys") == 1
    assert steps[10] == steps[1_000]
