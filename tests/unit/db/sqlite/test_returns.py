"""Returns in both databases: the contracts of the two stores, the rules of their schemas, and races."""

from contextlib import suppress
from pathlib import Path

import apsw
import pytest

from db.sqlite.catalog import CatalogStore
from db.sqlite.order import OrderStore
from db.sqlite.product_admin import ProductAdmin
from domain.checkout import Checkout
from domain.errors import Invalid, KeyReused, Unavailable
from domain.returns import Return, Returned, Returns
from domain.values import MAX_STOCK, Buy, Product
from tests.contracts.returns import ReturnCatalogContract, ReturnLogContract
from tests.support.at_once import at_once
from tests.support.books import Books, assert_audit_is_clean, query
from tests.support.history import History


class TestCatalogStore(ReturnCatalogContract):
    """A catalog store fulfils the contract of a catalog for returns."""


class TestOrderStore(ReturnLogContract):
    """An order store fulfils the contract of a log of returns."""


@pytest.fixture
def sold(checkout: Checkout) -> None:
    """Order 0: 5 Tux under the key k. The key `no` was refused."""
    assert checkout.place(Buy("k", "Tux", 5)) == 0
    checkout.place_all([Buy("no", "Tux", 1000)])


def test_a_return_stands_readably_in_both_databases(
    returns: Returns, catalog: CatalogStore, sold: None, tmp_path: Path
) -> None:
    ProductAdmin(tmp_path / "catalog.db").price("Tux", 3000, "dearer")
    returned = returns.give_back(Return("r", 0, 2, "torn"))
    assert query(tmp_path / "order.db", "SELECT * FROM return_log") == [
        (0, "Tux", 2, "r", returned.time, 25.99, 51.98, "torn")
    ]
    ledger = "SELECT product, delta, balance, reason, key, price_cents, note, sale FROM stock_ledger ORDER BY entry"
    assert query(tmp_path / "catalog.db", ledger)[-2:] == [
        ("Tux", -5, 75, "sold", "k", 2599, None, None),
        ("Tux", 2, 77, "returned", "r", 3000, "torn", "k"),
    ]


def test_a_retired_product_takes_its_pieces_back_and_is_sold_no_more(
    returns: Returns, checkout: Checkout, sold: None, tmp_path: Path
) -> None:
    ProductAdmin(tmp_path / "catalog.db").retire("Tux", "gone")
    returns.give_back(Return("r", 0))
    assert query(tmp_path / "catalog.db", "SELECT quantity, retired FROM products WHERE name = 'Tux'") == [(80, 1)]
    [refused] = checkout.place_all([Buy("b", "Tux", 1)])
    assert str(refused) == "product not found"
    Books.read(tmp_path).check()
    assert_audit_is_clean(tmp_path)


def test_a_return_may_lift_the_stock_above_its_limit(tmp_path: Path) -> None:
    catalog, orders = CatalogStore(tmp_path / "catalog.db"), OrderStore(tmp_path / "order.db")
    catalog.migrate()
    orders.migrate()
    catalog.load([Product("Bolt", 1, MAX_STOCK)])
    Checkout(orders, catalog).place(Buy("k", "Bolt", 5))
    ProductAdmin(tmp_path / "catalog.db").restock("Bolt", 5, "more")
    Returns(orders, catalog).give_back(Return("r", 0))
    assert catalog.product("Bolt").quantity == MAX_STOCK + 5
    assert_audit_is_clean(tmp_path)


def test_the_key_of_a_return_is_no_change_of_the_owner(returns: Returns, sold: None, tmp_path: Path) -> None:
    returns.give_back(Return("r", 0, 2))
    with pytest.raises(KeyReused):
        ProductAdmin(tmp_path / "catalog.db").restock("Tux", 2, "r")


def test_the_key_of_a_change_of_the_owner_gives_nothing_back(
    returns: Returns, orders: OrderStore, sold: None, tmp_path: Path
) -> None:
    ProductAdmin(tmp_path / "catalog.db").restock("Tux", 2, "r")
    with pytest.raises(KeyReused):
        returns.give_back(Return("r", 0, 2))
    assert orders.return_intents(10) == []
    Books.read(tmp_path).check()


def test_a_buy_under_the_key_of_a_return_is_refused_and_leaves_no_doubt(
    returns: Returns, checkout: Checkout, orders: OrderStore, sold: None, tmp_path: Path
) -> None:
    returns.give_back(Return("r", 0, 2))
    assert checkout.place_all([Buy("r", "Tux", 2), Buy("b", "Tux", 1)]) == [KeyReused(), 1]
    assert orders.intents(10) == []
    Books.read(tmp_path).check()


RETURN = "INSERT INTO returns (key, number, quantity) VALUES"
INTENT = "INSERT INTO return_intents (key, number, quantity) VALUES"


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("UPDATE returns SET quantity = 1", "append-only"),
        ("DELETE FROM returns", "append-only"),
        ("REPLACE INTO returns SELECT * FROM returns", "append-only: this entry exists"),
        ("REPLACE INTO returns (key, number, quantity) VALUES ('r', 0, 1)", "gives back at most once"),
        (f"{RETURN} ('k', 0, 1)", "never both"),
        (f"{RETURN} ('no', 0, 1)", "never both"),
        (f"{RETURN} ('new', 0, 1)", "end of a return in doubt"),
        (f"{RETURN} ('d', 0, 2)", "end of a return in doubt"),
        ("INSERT INTO returns (key, number, quantity, note) VALUES ('d', 0, 1, 'a note')", "end of a return in doubt"),
        (f"{RETURN} ('d', 0, 0)", "end of a return in doubt|CHECK"),
        ("INSERT INTO returns (entry, key, number, quantity) VALUES (7, 'd', 0, 1)", "no gap"),
        ("UPDATE return_intents SET quantity = 1", "does not change"),
        ("REPLACE INTO return_intents (key, number, quantity) VALUES ('d', 0, 1)", "this key exists"),
        ("REPLACE INTO return_intents SELECT begun, 'e', 0, 1, NULL, time FROM return_intents", "this number exists"),
        (f"{INTENT} ('r', 0, 1)", "gives back at most once"),
        (f"{INTENT} ('k', 0, 1)", "never both"),
        (f"{INTENT} ('no', 0, 1)", "never both"),
        (f"{INTENT} ('new', 0, 3)", "no more is given back than was bought"),
        (f"{INTENT} ('new', 9, 1)", "no more is given back than was bought"),
        (f"{INTENT} ('new', 0, -1)", "CHECK"),
        (
            "INSERT INTO intents (key, product, quantity) VALUES ('r', 'Tux', 1);"
            "INSERT INTO orders (key, product, quantity, price_cents) VALUES ('r', 'Tux', 1, 1)",
            "never both",
        ),
        (
            "INSERT INTO intents (key, product, quantity) VALUES ('r', 'Tux', 1);"
            "INSERT INTO refused (key, product, quantity, reason) VALUES ('r', 'Tux', 1, 'out of stock')",
            "never both",
        ),
    ],
)
def test_the_schema_of_the_log_enforces_the_rules(  # 5 Tux bought, 2 given back, 1 in doubt
    orders: OrderStore, returns: Returns, sold: None, tmp_path: Path, sql: str, message: str
) -> None:
    returns.give_back(Return("r", 0, 2))
    orders.begin_returns([Return("d", 0, 1)])
    shell = apsw.Connection(str(tmp_path / "order.db"))  # as a person opens it, without the store's pragmas
    with pytest.raises(apsw.Error, match=message):
        shell.execute(sql)
    shell.close()


ENTRY = "INSERT INTO stock_ledger (product, delta, balance, reason, key, price_cents, sale) VALUES"


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        (f"{ENTRY} ('Tux', 4, 81, 'returned', 'new', 2599, 'k')", "no more than were sold"),
        (f"{ENTRY} ('Bird', 1, 99, 'returned', 'new', 3999, 'k')", "no more than were sold"),
        (f"{ENTRY} ('Tux', 1, 78, 'returned', 'new', 2599, 'nix')", "no more than were sold"),
        (f"{ENTRY} ('Tux', 1, 78, 'returned', 'new', 2599, 'r')", "no more than were sold"),
        (f"{ENTRY} ('Tux', 1, 79, 'returned', 'new', 2599, 'k')", "leads from the stock"),
        (f"{ENTRY} ('Tux', 1, 78, 'returned', 'new', 1, 'k')", "at its price"),
        (f"{ENTRY} ('Tux', 1, 78, 'returned', 'r', 2599, 'k')", "at most once"),
        (f"{ENTRY} ('Tux', 1, 78, 'returned', 'no', 2599, 'k')", "never both"),
        (f"{ENTRY} ('Tux', -1, 76, 'returned', 'new', 2599, 'k')", "CHECK"),
        (f"{ENTRY} ('Tux', 1, 78, 'returned', NULL, 2599, 'k')", "CHECK"),
        (f"{ENTRY} ('Tux', 1, 78, 'returned', 'new', 2599, NULL)", "CHECK|no more than were sold"),
        (f"{ENTRY} ('Tux', 1, 78, 'restock', 'new', 2599, 'k')", "CHECK"),
    ],
)
def test_the_schema_of_the_catalog_enforces_the_rules(  # 5 Tux sold, 2 given back
    returns: Returns, sold: None, tmp_path: Path, sql: str, message: str
) -> None:
    returns.give_back(Return("r", 0, 2))
    shell = apsw.Connection(str(tmp_path / "catalog.db"))
    with pytest.raises(apsw.Error, match=message):
        shell.execute(sql)
    shell.close()


def give_back(returns: Returns, asked: Return) -> Returned | Invalid:
    """Gives back, and repeats it while a database is busy. Returns the return or why it is refused."""
    while True:
        with suppress(Unavailable):
            try:
                return returns.give_back(asked)
            except Invalid as refusal:
                return refusal


@pytest.fixture
def programs(sold: None, tmp_path: Path) -> list[Returns]:
    """The order tier and the owner's program: each has stores of its own."""
    return [Returns(OrderStore(tmp_path / "order.db"), CatalogStore(tmp_path / "catalog.db")) for _ in range(2)]


@pytest.mark.parametrize("quantity", [3, None])
def test_of_two_returns_of_the_last_pieces_one_gives_them_back(
    programs: list[Returns], tmp_path: Path, quantity: int | None
) -> None:
    ends = at_once(lambda number: give_back(programs[number], Return(f"r{number}", 0, quantity)), 2)
    [returned] = [end for end in ends if isinstance(end, Returned)]
    books = Books.read(tmp_path)
    books.check()
    assert books.products["Tux"] == 75 + returned.quantity
    assert_audit_is_clean(tmp_path)


@pytest.mark.parametrize("quantity", [3, None])
def test_one_key_from_many_threads_is_one_return(programs: list[Returns], tmp_path: Path, quantity: int | None) -> None:
    asked = Return("r", 0, quantity)
    ends = at_once(lambda number: give_back(programs[number % 2], asked), 8)
    assert len(set(ends)) == 1
    books = Books.read(tmp_path)
    books.check()
    assert books.returns == [("r", 0, quantity or 5)]


def test_buys_go_on_while_orders_are_given_back(tmp_path: Path) -> None:
    """The pieces that are given back are bought again, and none is sold twice."""
    catalog, orders = CatalogStore(tmp_path / "catalog.db"), OrderStore(tmp_path / "order.db")
    catalog.migrate()
    orders.migrate()
    catalog.load([Product("Ticket", 5000, 8)])
    checkout, returns, history = Checkout(orders, catalog), Returns(orders, catalog), History()

    def shop(thread: int) -> None:
        for turn in range(12):
            answer = history.buy(checkout, Buy(f"{thread}-{turn}", "Ticket", 2))
            if answer.isdigit():
                give_back(returns, Return(f"r{thread}-{turn}", int(answer)))

    at_once(shop, 6)
    books = Books.read(tmp_path)
    books.check()
    assert books.products == {"Ticket": 8}
    assert len(books.returns) == len(books.orders) > 8
