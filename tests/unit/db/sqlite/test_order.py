"""The order store: the contract of an order log, and the rules of its database."""

import hmac
import time
from pathlib import Path

import apsw
import pytest

from db.sqlite.order import OrderStore
from domain.errors import KeyReused, OrderNotFound, OutOfStock, ProductNotFound
from domain.protocols import Placed, Sale
from domain.values import Buy, Sold
from tests.contracts.order_log import OrderLogContract, log_orders
from tests.support.books import query

BUY = Buy("k", "Tux", 2)


class TestOrderStore(OrderLogContract):
    """An order store fulfils the contract of an order log."""


def log_sales(orders: OrderStore, *sales: tuple[Buy, Sale]) -> list[Placed]:
    """Begins and finishes the buys, and returns their results."""
    orders.begin([buy for buy, _ in sales])
    return orders.finish(sales)


def test_a_rolled_back_batch_burns_no_number(orders: OrderStore) -> None:
    log_orders(orders, "a")
    with pytest.raises(apsw.ConstraintError):
        log_sales(orders, (Buy("b", "Tux", 1), Sold(1)), (Buy("c", "Tux", 1), Sold(-1)))
    assert log_orders(orders, "d") == [1]


def test_the_number_of_a_deleted_order_is_not_given_out_again(orders: OrderStore, tmp_path: Path) -> None:
    log_orders(orders, "a", "b")
    with apsw.Connection(str(tmp_path / "order.db")) as forger:
        forger.execute("DROP TRIGGER orders_delete; DELETE FROM orders WHERE number = 1")
    assert log_orders(orders, "c") == [2]


def test_an_intent_after_the_end_of_its_buy_is_deleted(orders: OrderStore, tmp_path: Path) -> None:
    assert log_sales(orders, (BUY, Sold(2599))) == [0]
    with apsw.Connection(str(tmp_path / "order.db")) as shell:
        shell.execute("INSERT INTO intents (key, product, quantity) VALUES ('k', 'Tux', 2)")
    assert orders.finish([(BUY, Sold(2599))]) == [0]
    assert orders.intents(10) == []


@pytest.mark.parametrize("refusal", [OutOfStock(), ProductNotFound()])
def test_a_refused_buy_is_logged_as_minus_1(
    orders: OrderStore, tmp_path: Path, refusal: OutOfStock | ProductNotFound
) -> None:
    orders.begin([BUY])
    assert orders.finish([(BUY, refusal)]) == [refusal]
    assert orders.begin([BUY]) == [refusal]
    rows = query(tmp_path / "order.db", "SELECT order_number, product, quantity, key, refused_because FROM order_log")
    assert rows == [(-1, "Tux", 2, "k", refusal.message)]
    assert log_orders(orders, "a") == [0]


def test_a_key_that_the_catalog_has_for_another_buy_is_not_logged(orders: OrderStore, tmp_path: Path) -> None:
    orders.begin([BUY])
    assert orders.finish([(BUY, KeyReused())]) == [KeyReused()]
    assert orders.intents(10) == []
    assert query(tmp_path / "order.db", "SELECT * FROM order_log") == []


@pytest.mark.parametrize("key", ["b", "", "aa", "A", "\xe9"])
def test_a_wrong_key_finds_no_order_and_is_compared_in_constant_time(
    orders: OrderStore, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    log_orders(orders, "a", "b")
    compared = []
    monkeypatch.setattr(hmac, "compare_digest", lambda given, known: compared.append((given, known)))
    with pytest.raises(OrderNotFound):
        orders.order(0, key)
    assert compared == [(key.encode(), b"a")]


def test_the_order_log_shows_orders_and_refused_buys(orders: OrderStore, tmp_path: Path) -> None:
    log_orders(orders, "a")
    log_sales(orders, (Buy("no", "Nix", 1), ProductNotFound()))
    orders.begin([Buy("d", "Bird", 1)])
    log_orders(orders, "b")
    log = query(tmp_path / "order.db", "SELECT order_number, product, quantity, key, price FROM order_log")
    assert set(log) == {(0, "Tux", 1, "a", 25.99), (1, "Tux", 1, "b", 25.99), (-1, "Nix", 1, "no", None)}


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("UPDATE orders SET quantity = 2", "append-only"),
        ("DELETE FROM orders", "append-only"),
        ("REPLACE INTO orders (number, key, product, quantity, price_cents) VALUES (0, 'z', 'z', 1, 1)", "append-only"),
        ("REPLACE INTO orders (key, product, quantity, price_cents) VALUES ('a', 'z', 1, 1)", "at most once"),
        ("INSERT INTO orders (key, product, quantity, price_cents) VALUES ('no', 'z', 1, 1)", "never both"),
        ("INSERT INTO orders (number, key, product, quantity, price_cents) VALUES (-1, 'd', 'Bird', 1, 1)", "CHECK"),
        ("INSERT INTO orders (key, product, quantity, price_cents) VALUES ('d', 'Bird', 1, -1)", "CHECK"),
        (
            "INSERT INTO orders (key, product, quantity, price_cents) VALUES ('z', 'Bird', 1, 1)",
            "end of a buy in doubt",
        ),
        (
            "INSERT INTO orders (key, product, quantity, price_cents) VALUES ('d', 'Bird', 2, 1)",
            "end of a buy in doubt",
        ),
        ("INSERT INTO orders (key, product, quantity, price_cents) VALUES ('d', 'Tux', 1, 1)", "end of a buy in doubt"),
        ("INSERT INTO refused VALUES ('z', 'Tux', 1, 'out of stock', 'now')", "end of a buy in doubt"),
        ("INSERT INTO refused VALUES ('d', 'Bird', 9, 'out of stock', 'now')", "end of a buy in doubt"),
        ("UPDATE intents SET quantity = 2", "does not change"),
        ("REPLACE INTO intents (key, product, quantity) VALUES ('d', 'Bird', 2)", "not replaced"),
        (
            "REPLACE INTO intents (begun, key, product, quantity) SELECT begun, 'e', 'Bird', 2 FROM intents",
            "not replaced",
        ),
        ("UPDATE refused SET quantity = 2", "append-only"),
        ("DELETE FROM refused", "append-only"),
        ("REPLACE INTO refused SELECT * FROM refused", "append-only"),
        ("INSERT INTO refused VALUES ('a', 'Tux', 1, 'out of stock', 'now')", "never both"),
    ],
)
def test_the_schema_itself_enforces_the_rules(orders: OrderStore, tmp_path: Path, sql: str, message: str) -> None:
    log_orders(orders, "a")
    log_sales(orders, (Buy("no", "Nix", 1), ProductNotFound()))
    orders.begin([Buy("d", "Bird", 1)])
    shell = apsw.Connection(str(tmp_path / "order.db"))
    with pytest.raises(apsw.Error, match=message):
        shell.execute(sql)
    shell.close()


def test_a_finish_that_fails_leaves_the_buy_in_doubt(orders: OrderStore) -> None:
    """One transaction writes the order and deletes its intent: a crash between two would lose the order."""
    orders.begin([BUY])
    with pytest.raises(apsw.ConstraintError):
        orders.finish([(BUY, Sold(-1))])
    assert orders.intents(10) == [BUY]


def test_the_view_order_log_is_sorted_by_time(orders: OrderStore, tmp_path: Path) -> None:
    for number in range(6):
        buy = Buy(f"key-{number}", "Tux", 1)
        log_sales(orders, (buy, Sold(1) if number % 2 else OutOfStock()))
        time.sleep(0.002)  # the times in the log are milliseconds
    log = query(tmp_path / "order.db", "SELECT key FROM order_log")
    assert log == [(f"key-{number}",) for number in range(6)]
