"""The owner's changes of products: each happens once for its key, and its entry explains the product."""

from collections.abc import Callable, Iterator
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
from domain.errors import Invalid, KeyReused, OutOfStock, ProductNotFound
from domain.values import MAX_STOCK, Buy, Product, Sold
from tests.support.books import Books, assert_audit_is_clean, query
from tests.support.forgery import forge, forge_schema
from tests.support.pages import read_page


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


def test_a_new_product_is_for_sale_with_its_first_entries(
    owner: ProductAdmin, catalog: CatalogStore, tmp_path: Path
) -> None:
    assert owner.add(Product("Cat", 150, 3), "k") is True
    assert catalog.sell([Buy("b", "Cat", 1)]) == [Sold(150)]
    assert history(tmp_path) == [("Cat", "added", 150, None)]
    ledger = "SELECT delta, balance, reason, key, price_cents FROM stock_ledger WHERE product = 'Cat'"
    assert query(tmp_path / "catalog.db", ledger) == [(3, 3, "initial", "k", 150), (-1, 2, "sold", "b", 150)]


def test_a_restock_is_an_entry_of_the_ledger(owner: ProductAdmin, catalog: CatalogStore, tmp_path: Path) -> None:
    assert owner.restock("Tux", 20, "k") is True
    assert catalog.product("Tux") == Product("Tux", 2599, 100)
    ledger = "SELECT product, delta, balance, reason, price_cents FROM stock_ledger WHERE key = 'k'"
    assert query(tmp_path / "catalog.db", ledger) == [("Tux", 20, 100, "restock", 2599)]


def test_a_writeoff_is_an_entry_of_the_ledger_with_its_note(
    owner: ProductAdmin, catalog: CatalogStore, tmp_path: Path
) -> None:
    owner.restock("Tux", 800, "one zero too many")
    assert owner.writeoff("Tux", 720, "only 80 came", "k") is True
    assert catalog.product("Tux") == Product("Tux", 2599, 160)
    ledger = "SELECT delta, balance, reason, price_cents, note FROM stock_ledger WHERE key = 'k'"
    assert query(tmp_path / "catalog.db", ledger) == [(-720, 160, "writeoff", 2599, "only 80 came")]
    assert catalog.sell([Buy("all", "Tux", 160), Buy("one", "Tux", 1)]) == [Sold(2599), OutOfStock()]


def test_a_writeoff_of_more_than_the_stock_is_refused(owner: ProductAdmin, tmp_path: Path) -> None:
    before = rows(tmp_path)
    with pytest.raises(Invalid, match="the stock of 'Tux' is 80 pieces, and not 81"):
        owner.writeoff("Tux", 81, "stolen", "k")
    assert rows(tmp_path) == before
    assert owner.writeoff("Tux", 80, "stolen", "k") is True


@pytest.mark.parametrize(("counted", "delta"), [(0, -80), (78, -2), (80, 0), (95, 15)])
def test_a_correction_sets_the_stock_to_the_counted_number(
    owner: ProductAdmin, catalog: CatalogStore, tmp_path: Path, counted: int, delta: int
) -> None:
    assert owner.correct("Tux", counted, "counted", "k") is True
    assert catalog.product("Tux").quantity == counted
    ledger = "SELECT delta, balance, reason, note FROM stock_ledger WHERE key = 'k'"
    assert query(tmp_path / "catalog.db", ledger) == [(delta, counted, "correction", "counted")]


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


def test_a_retired_product_is_not_found(owner: ProductAdmin, catalog: CatalogStore, tmp_path: Path) -> None:
    assert owner.retire("Tux", "k") is True
    assert catalog.lookup(["Tux", "Bird"]) == [ProductNotFound(), Product("Bird", 3999, 98)]
    with pytest.raises(ProductNotFound):
        catalog.product("Tux")
    assert read_page(catalog.products(limit=10)).names == ["Bird", "Elephant", "Whale"]
    assert catalog.sell([Buy("new", "Tux", 1), Buy("direct", "Tux", 1)]) == [ProductNotFound(), ProductNotFound()]
    assert query(tmp_path / "catalog.db", "SELECT name, quantity FROM products WHERE retired") == [("Tux", 80)]
    assert history(tmp_path) == [("Tux", "retired", 2599, "k")]


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


def test_low_stock_shows_no_retired_product(owner: ProductAdmin, catalog: CatalogStore, tmp_path: Path) -> None:
    catalog.sell([Buy("a", "Tux", 75), Buy("b", "Bird", 95)])
    owner.retire("Tux", "k")
    assert query(tmp_path / "catalog.db", "SELECT name FROM low_stock") == [("Bird",)]


def test_repeating_a_change_under_its_key_changes_nothing(owner: ProductAdmin, tmp_path: Path) -> None:
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
    before = rows(tmp_path)
    assert change_all() == [False] * 6
    assert rows(tmp_path) == before


def test_a_price_change_stays_done_when_a_shopper_buys_under_its_key(
    owner: ProductAdmin, catalog: CatalogStore
) -> None:
    owner.price("Tux", 160, "k")
    assert catalog.sell([Buy("k", "Tux", 1)]) == [Sold(160)]
    assert owner.price("Tux", 160, "k") is False


def test_a_key_of_another_change_or_buy_is_refused(owner: ProductAdmin, catalog: CatalogStore, tmp_path: Path) -> None:
    owner.add(Product("Cat", 150, 3), "added")
    owner.restock("Cat", 5, "restocked")
    owner.price("Cat", 160, "priced")
    owner.writeoff("Cat", 1, "broken", "written off")
    owner.correct("Cat", 7, "counted", "corrected")
    owner.retire("Bird", "retired")
    catalog.sell([Buy("sold", "Cat", 1), Buy("refused", "Cat", 100)])
    before = rows(tmp_path)
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
    assert rows(tmp_path) == before


@pytest.mark.parametrize("key", ["added", "restocked", "written off", "corrected"])
def test_a_buy_under_an_owners_key_is_refused(owner: ProductAdmin, catalog: CatalogStore, key: str) -> None:
    owner.add(Product("Cat", 150, 3), "added")
    owner.restock("Cat", 3, "restocked")
    owner.writeoff("Cat", 3, "broken", "written off")
    owner.correct("Cat", 3, "counted", "corrected")
    assert catalog.sell([Buy(key, "Cat", 3)]) == [KeyReused()]


def test_an_impossible_change_is_named_and_changes_nothing(owner: ProductAdmin, tmp_path: Path) -> None:
    owner.retire("Whale", "gone")
    before = rows(tmp_path)
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
    assert rows(tmp_path) == before
    assert owner.restock("Tux", MAX_STOCK - 80, "k") is True


def test_a_name_that_looks_like_another_one_is_refused(owner: ProductAdmin, tmp_path: Path) -> None:
    owner.add(Product("\u2b50 Bear", 1, 1), "star")
    before = rows(tmp_path)
    for name in ("\u2b50\ufe0f Bear", "\u2b50  Bear"):
        with pytest.raises(Invalid, match=r"looks like '\\u2b50 Bear', which is or was sold already"):
            owner.add(Product(name, 1, 1), "other")
    assert owner.add(Product("\u2b50 Bear", 1, 1), "star") is False, "it is the same product under its key"
    assert rows(tmp_path) == before


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
