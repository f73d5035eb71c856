import hmac
import time
from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from db.order import OrderStore
from domain.errors import KeyReused, OrderNotFound, OutOfStock, ProductNotFound
from domain.values import Buy, Order, Sold
from tests.support.books import query
from tests.support.steps import begin, finish

BUY = Buy("k", "Tux", 2)


def numbers(store: OrderStore, *keys: str) -> list[int]:
    buys = [Buy(key, "Tux", 1) for key in keys]
    begin(store, buys)
    receipts = finish(store, [(buy, Sold(2599)) for buy in buys])
    return [receipt.number for receipt in receipts if isinstance(receipt, Order)]


def test_numbers_start_at_0_and_have_no_gap(orders: OrderStore) -> None:
    assert numbers(orders, "a", "b") + numbers(orders, "c") + numbers(orders, "d") == [0, 1, 2, 3]


def test_a_rolled_back_batch_burns_no_number(orders: OrderStore) -> None:
    numbers(orders, "a")
    with pytest.raises(apsw.ConstraintError):
        finish(orders, [(Buy("b", "Tux", 1), Sold(1)), (Buy("c", "Tux", 1), Sold(-1))])
    assert numbers(orders, "d") == [1]


def test_the_number_of_an_order_that_was_removed_by_force_is_not_given_out_again(
    orders: OrderStore, tmp_path: Path
) -> None:
    numbers(orders, "a", "b")
    with apsw.Connection(str(tmp_path / "order.db")) as forger:
        forger.execute("DROP TRIGGER orders_delete; DELETE FROM orders WHERE number = 1")
    assert numbers(orders, "c") == [2]


def test_a_begun_buy_is_in_doubt_until_it_is_finished(orders: OrderStore) -> None:
    assert begin(orders, [BUY]) == begin(orders, [BUY]) == [None]
    assert orders.intents(10) == [BUY]
    [receipt] = finish(orders, [(BUY, Sold(2599))])
    assert isinstance(receipt, Order)
    assert (receipt.number, receipt.product, receipt.quantity, receipt.price_cents) == (0, "Tux", 2, 2599)
    assert orders.intents(10) == []


def test_a_finished_buy_is_answered_from_the_log(orders: OrderStore) -> None:
    begin(orders, [BUY])
    [receipt] = finish(orders, [(BUY, Sold(2599))])
    assert begin(orders, [BUY]) == [receipt]
    assert finish(orders, [(BUY, Sold(2599))]) == [receipt]
    assert orders.intents(10) == []


def test_a_late_intent_of_a_finished_buy_drains(orders: OrderStore, tmp_path: Path) -> None:
    [first] = finish(orders, [(BUY, Sold(2599))])
    with apsw.Connection(str(tmp_path / "order.db")) as shell:
        shell.execute("INSERT INTO intents (key, product, quantity) VALUES ('k', 'Tux', 2)")
    assert finish(orders, [(BUY, Sold(2599))]) == [first]
    assert orders.intents(10) == []


@pytest.mark.parametrize("refusal", [OutOfStock(), ProductNotFound()])
def test_a_refused_buy_is_logged_as_minus_1(
    orders: OrderStore, tmp_path: Path, refusal: OutOfStock | ProductNotFound
) -> None:
    begin(orders, [BUY])
    assert finish(orders, [(BUY, refusal)]) == [refusal]
    assert begin(orders, [BUY]) == [refusal]
    rows = query(tmp_path / "order.db", "SELECT order_number, product, quantity, key, refused_because FROM order_log")
    assert rows == [(-1, "Tux", 2, "k", refusal.message)]
    assert numbers(orders, "a") == [0]


@pytest.mark.parametrize("other", [Buy("k", "Tux", 1), Buy("k", "Bird", 2)])
def test_a_key_stands_for_one_product_and_quantity(orders: OrderStore, other: Buy) -> None:
    begin(orders, [BUY])
    assert begin(orders, [other]) == [KeyReused()]
    finish(orders, [(BUY, Sold(1))])
    assert begin(orders, [other]) == [KeyReused()]


def test_a_refused_key_stands_for_one_product_and_quantity(orders: OrderStore) -> None:
    finish(orders, [(BUY, OutOfStock())])
    for other in (replace(BUY, quantity=BUY.quantity + 1), replace(BUY, product="Whale")):
        assert begin(orders, [other]) == [KeyReused()]


def test_a_key_that_the_catalog_knows_otherwise_is_not_logged(orders: OrderStore, tmp_path: Path) -> None:
    begin(orders, [BUY])
    assert finish(orders, [(BUY, KeyReused())]) == [KeyReused()]
    assert orders.intents(10) == []
    assert query(tmp_path / "order.db", "SELECT * FROM order_log") == []


def test_intents_come_oldest_first_and_bounded(orders: OrderStore) -> None:
    buys = [Buy(key, "Tux", 1) for key in "dacb"]
    begin(orders, buys)
    assert orders.intents(3) == buys[:3]


def test_an_order_is_found_by_its_number(orders: OrderStore) -> None:
    numbers(orders, "a")
    order = orders.order(0)
    assert (order.product, order.quantity, order.price_cents) == ("Tux", 1, 2599)
    assert order.time.endswith("Z")
    with pytest.raises(OrderNotFound):
        orders.order(1)
    assert orders.order(0, "a") == order


@pytest.mark.parametrize("key", ["b", "", "aa", "A", "\xe9"])
def test_an_order_is_not_found_with_another_key_and_the_time_does_not_tell_how_near_it_was(
    orders: OrderStore, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    numbers(orders, "a", "b")
    compared = []
    monkeypatch.setattr(hmac, "compare_digest", lambda given, known: compared.append((given, known)))
    with pytest.raises(OrderNotFound):
        orders.order(0, key)
    assert compared == [(key.encode(), b"a")]


def test_the_order_log_shows_orders_and_refused_buys(orders: OrderStore, tmp_path: Path) -> None:
    numbers(orders, "a")
    finish(orders, [(Buy("no", "Nix", 1), ProductNotFound())])
    begin(orders, [Buy("d", "Bird", 1)])
    numbers(orders, "b")
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
def test_the_schema_itself_holds_the_rules(orders: OrderStore, tmp_path: Path, sql: str, message: str) -> None:
    numbers(orders, "a")
    finish(orders, [(Buy("no", "Nix", 1), ProductNotFound())])
    begin(orders, [Buy("d", "Bird", 1)])
    shell = apsw.Connection(str(tmp_path / "order.db"))
    with pytest.raises(apsw.Error, match=message):
        shell.execute(sql)
    shell.close()


def test_the_end_of_one_buy_does_not_forget_another_under_its_key(orders: OrderStore) -> None:
    """The catalog knew the key for something else, so the first buy ended; then its key came with another product."""
    finish(orders, [(BUY, KeyReused())])
    other = Buy("k", "Whale", 1)
    begin(orders, [other])
    finish(orders, [(BUY, KeyReused())])  # a second request for the first buy, that comes to its end late
    assert orders.intents(10) == [other]


def test_an_end_that_fails_leaves_the_buy_in_doubt(orders: OrderStore) -> None:
    """The order and the end of its intent are one transaction: between two, a crash would lose the order."""
    begin(orders, [BUY])
    with pytest.raises(apsw.ConstraintError):
        finish(orders, [(BUY, Sold(-1))])
    assert orders.intents(10) == [BUY]


def test_the_order_log_is_in_the_order_of_time(orders: OrderStore, tmp_path: Path) -> None:
    for number in range(6):
        buy = Buy(f"key-{number}", "Tux", 1)
        finish(orders, [(buy, Sold(1) if number % 2 else OutOfStock())])
        time.sleep(0.002)  # the log counts in milliseconds
    log = query(tmp_path / "order.db", "SELECT key FROM order_log")
    assert log == [(f"key-{number}",) for number in range(6)]
