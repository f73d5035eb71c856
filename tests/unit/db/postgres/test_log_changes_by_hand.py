"""The triggers refuse every change of the order log in psql that no buy and no return in doubt explains."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from db.postgres.order import OrderStore
from domain.errors import OutOfStock
from domain.returns import Return, SaleReturn, TakenBack
from domain.values import Buy, Sold

TABLES = ("orders", "last_number", "refused", "intents", "returns", "return_intents", "store")
ORDER = "INSERT INTO orders (number, key, product, quantity, price_cents) VALUES"
REFUSAL = "INSERT INTO refused (key, product, quantity, reason) VALUES"
RETURN = "INSERT INTO returns (key, number, quantity, note) VALUES"
RETURN_INTENT = "INSERT INTO return_intents (key, number, quantity, note) VALUES"
RAISED = "WITH raised AS (UPDATE last_number SET number = number + 1)"

Shell = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture
def shell(orders: OrderStore, store_address: str) -> Iterator[Shell]:
    """A shell on a log with order 0 of 5 Tux, of which 2 came back and 1 is in doubt, order 1 of 1 Bird, a refused buy,
    and two buys in doubt."""
    tux, bird, refused = Buy("a", "Tux", 5), Buy("b", "Bird", 1), Buy("no", "Tux", 1_000)
    orders.begin([tux, bird, refused])
    assert orders.finish([(tux, Sold(2599)), (bird, Sold(3999)), (refused, OutOfStock())]) == [0, 1, OutOfStock()]
    orders.begin([Buy("d", "Bird", 1), Buy("e", "Tux", 2)])
    [pieces] = orders.begin_returns([Return("r", 0, 2, "torn")])
    assert isinstance(pieces, SaleReturn)
    orders.finish_returns([(pieces, TakenBack())])
    orders.begin_returns([Return("s", 0, 1)])
    with psycopg.connect(store_address, autocommit=True, options="-c search_path=log") as shell:
        shell.execute("INSERT INTO store (id) VALUES (repeat('a', 32))")
        yield shell


def rows(shell: Shell) -> list[list[tuple[Any, ...]]]:
    """Returns all rows of the log."""
    return [shell.execute(f"SELECT * FROM {table} ORDER BY 1".encode()).fetchall() for table in TABLES]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("UPDATE orders SET quantity = 2", "the order log is append-only"),
        ("UPDATE orders SET quantity = 2 WHERE FALSE", "the order log is append-only"),
        ("DELETE FROM orders", "the order log is append-only"),
        ("TRUNCATE orders CASCADE", "append-only"),
        (f"{ORDER} (1, 'd', 'Bird', 1, 1) ON CONFLICT (number) DO UPDATE SET quantity = 9", "append-only"),
        (f"{ORDER} (2, 'd', 'Bird', 1, 1)", "have no gap, and the newest is that of last_number"),
        (f"{ORDER} (7, 'd', 'Bird', 1, 1)", "have no gap"),
        (f"{ORDER} (1, 'd', 'Bird', 1, 1)", "orders_pkey"),
        (f"{ORDER} (-1, 'd', 'Bird', 1, 1)", "check constraint"),
        ("UPDATE last_number SET number = 2", "last_number is the number of the newest order"),
        ("UPDATE last_number SET number = 0", "last_number is the number of the newest order"),
        ("UPDATE last_number SET number = -2", "check constraint"),
        ("DELETE FROM last_number", "the number of the newest order stays"),
        ("TRUNCATE last_number", "the number of the newest order stays"),
        ("INSERT INTO last_number VALUES (1, 5)", "the number of the newest order stays"),
        (f"{RAISED} {ORDER} (3, 'd', 'Bird', 1, 1)", "have no gap"),
        (
            f"WITH raised AS (UPDATE last_number SET number = 3) {ORDER} (3, 'd', 'Bird', 1, 1)",
            "have no gap",  # the newest number, and 2 is missing below it
        ),
        (
            f"WITH raised AS (UPDATE last_number SET number = 4) {ORDER} (2, 'd', 'Bird', 1, 1), (4, 'e', 'Tux', 2, 1)",
            "have no gap",  # 3 is missing between the two
        ),
        (f"{RAISED} {ORDER} (2, 'a', 'Tux', 5, 1)", "a_key_is_ordered_at_most_once"),
        (f"{RAISED} {ORDER} (2, 'no', 'Tux', 1000, 1)", "ordered or refused, never both"),
        (f"{RAISED} {ORDER} (2, 'r', 'Tux', 2, 1)", "buys or gives back, never both"),
        (f"{RAISED} {ORDER} (2, 'mine', 'Tux', 1, 1)", "the end of a buy in doubt"),
        (f"{RAISED} {ORDER} (2, 'd', 'Bird', 2, 1)", "the end of a buy in doubt"),
        (f"{RAISED} {ORDER} (2, 'd', 'Tux', 1, 1)", "the end of a buy in doubt"),
        (f"{RAISED} {ORDER} (2, 'd', 'Bird', 1, -1)", "check constraint"),
        ("UPDATE refused SET quantity = 2", "refused buys are append-only"),
        ("DELETE FROM refused", "refused buys are append-only"),
        ("TRUNCATE refused", "refused buys are append-only"),
        (f"{REFUSAL} ('a', 'Tux', 5, 'out of stock')", "ordered or refused, never both"),
        (f"{REFUSAL} ('no', 'Tux', 1000, 'out of stock')", "refused_pkey"),
        (f"{REFUSAL} ('r', 'Tux', 2, 'out of stock')", "buys or gives back, never both"),
        (f"{REFUSAL} ('mine', 'Tux', 1, 'out of stock')", "the end of a buy in doubt"),
        (f"{REFUSAL} ('d', 'Bird', 9, 'out of stock')", "the end of a buy in doubt"),
        (f"{REFUSAL} ('d', 'Bird', 1, 'sulky')", "check constraint"),
        ("UPDATE intents SET quantity = 2", "a buy in doubt does not change"),
        ("TRUNCATE intents", "a buy in doubt does not change"),
        ("INSERT INTO intents (key, product, quantity) VALUES ('d', 'Tux', 9)", "a_key_is_in_doubt_at_most_once"),
        ("INSERT INTO intents (begun, key, product, quantity) VALUES (1, 'x', 'Tux', 9)", "GENERATED ALWAYS"),
        ("INSERT INTO intents (key, product, quantity) VALUES ('x', 'Tux', 0)", "check constraint"),
        ("INSERT INTO intents (key, product, quantity) VALUES ('', 'Tux', 1)", "check constraint"),
        ("UPDATE returns SET quantity = 1", "returns are append-only"),
        ("DELETE FROM returns", "returns are append-only"),
        ("TRUNCATE returns", "returns are append-only"),
        (f"{RETURN} ('r', 0, 2, 'torn')", "a_key_gives_back_at_most_once"),
        (f"{RETURN} ('x', 0, 1, NULL)", "the end of a return in doubt"),
        (f"{RETURN} ('s', 0, 2, NULL)", "the end of a return in doubt"),
        (f"{RETURN} ('s', 1, 1, NULL)", "the end of a return in doubt"),
        (f"{RETURN} ('s', 0, 1, 'torn')", "the end of a return in doubt"),
        (f"{RETURN} ('x', 9, 1, NULL)", "foreign key|the end of a return"),
        ("UPDATE return_intents SET quantity = 2", "a return in doubt does not change"),
        ("TRUNCATE return_intents", "a return in doubt does not change"),
        (f"{RETURN_INTENT} ('x', 0, 3, NULL)", "no more is given back than was bought"),
        (f"{RETURN_INTENT} ('x', 0, 1, NULL), ('y', 0, 2, NULL)", "no more is given back than was bought"),
        (f"{RETURN_INTENT} ('x', 1, 2, NULL)", "no more is given back than was bought"),
        (f"{RETURN_INTENT} ('x', 9, 1, NULL)", "foreign key"),
        (f"{RETURN_INTENT} ('r', 0, 1, NULL)", "a key gives back at most once"),
        (f"{RETURN_INTENT} ('s', 0, 1, NULL)", "a_key_is_in_doubt_for_one_return"),
        (f"{RETURN_INTENT} ('a', 0, 1, NULL)", "buys or gives back, never both"),
        (f"{RETURN_INTENT} ('no', 0, 1, NULL)", "buys or gives back, never both"),
        (f"{RETURN_INTENT} ('x', 0, 1, '')", "check constraint"),
        ("UPDATE store SET id = id", "a log is of one store for ever"),
        ("DELETE FROM store", "a log is of one store for ever"),
        ("TRUNCATE store", "a log is of one store for ever"),
        ("INSERT INTO store (id) VALUES (repeat('b', 32))", "a_log_is_of_one_store_for_ever"),
        ("INSERT INTO store VALUES (2, repeat('b', 32))", "check constraint"),
    ],
)
def test_the_log_refuses_a_change_that_its_books_do_not_explain(shell: Shell, sql: str, message: str) -> None:
    before = rows(shell)
    with pytest.raises(psycopg.Error, match=message):
        shell.execute(sql.encode())
    assert rows(shell) == before


@pytest.mark.parametrize(
    "sql",
    [
        f"{RAISED} {ORDER} (2, 'd', 'Bird', 1, 3999)",
        f"{REFUSAL} ('d', 'Bird', 1, 'out of stock')",
        f"{RETURN} ('s', 0, 1, NULL)",
        f"{RETURN_INTENT} ('x', 0, 2, 'all that is left')",
    ],
)
def test_the_end_of_what_is_in_doubt_may_be_written_by_hand(shell: Shell, sql: str) -> None:
    before = rows(shell)
    shell.execute(sql.encode())
    assert rows(shell) != before


def test_the_views_show_what_sqlites_show(shell: Shell) -> None:
    log = shell.execute("SELECT order_number, product, quantity, key, price, refused_because FROM order_log").fetchall()
    assert set(log) == {
        (0, "Tux", 5, "a", 25.99, None),
        (1, "Bird", 1, "b", 39.99, None),
        (-1, "Tux", 1000, "no", None, "out of stock"),
    }
    returned = shell.execute("SELECT order_number, product, quantity, key, price, refund, note FROM return_log")
    assert returned.fetchall() == [(0, "Tux", 2, "r", 25.99, 51.98, "torn")]


def test_keys_names_and_times_are_compared_by_their_code_points_on_every_server(shell: Shell) -> None:
    """Else pages and their order would follow the locale of the server, and an update of it could break an index."""
    collations = """
        SELECT attrelid::regclass::text, attname, collname FROM pg_attribute
        JOIN pg_class ON pg_class.oid = attrelid JOIN pg_collation ON pg_collation.oid = attcollation
        WHERE relnamespace = 'log'::regnamespace AND relkind = 'r' AND relname <> 'migrations'
        AND attname IN ('key', 'product', 'time')"""
    found = shell.execute(collations.encode()).fetchall()
    assert len(found) == 14
    assert {collation for *_, collation in found} == {"C"}
