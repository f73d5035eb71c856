"""Tests that every implementation of the protocol OrderLog must pass."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import TypeVar

import pytest

from domain.errors import KeyReused, OrderNotFound, OutOfStock, ProductNotFound, Refused, Unavailable
from domain.protocols import OrderLog, Placed, Sale
from domain.values import Buy, KnownBuy, Sold
from tests.support.at_once import THREADS, at_once

R = TypeVar("R")

BUY = Buy("k", "Tux", 2)


def retried(write: Callable[[], R]) -> R:
    """Repeats the write while the log is Unavailable."""
    while True:
        with suppress(Unavailable):
            return write()


def log_orders(log: OrderLog, *keys: str) -> list[Placed]:
    """Begins and finishes a buy of one piece for each key. Returns their numbers."""
    buys = [Buy(key, "Tux", 1) for key in keys]
    log.begin(buys)
    return list(log.finish([(buy, Sold(2599)) for buy in buys]))


class OrderLogContract:
    """A log numbers the orders from 0 without a gap, once for each key, and keeps each buy in doubt until its end."""

    @pytest.fixture
    def log(self, orders: OrderLog) -> OrderLog:
        """The log under test, empty."""
        return orders

    def test_numbers_start_at_0_and_have_no_gap(self, log: OrderLog) -> None:
        assert log_orders(log, "a", "b") + log_orders(log, "c") + log_orders(log, "d") == [0, 1, 2, 3]

    def test_refused_buys_have_no_number(self, log: OrderLog) -> None:
        buys = [Buy(key, "Tux", 1) for key in "abcd"]
        log.begin(buys)
        sales: list[Sale] = [Sold(2599), OutOfStock(), KeyReused(), Sold(2599)]
        assert log.finish(list(zip(buys, sales, strict=True))) == [0, OutOfStock(), KeyReused(), 1]

    def test_a_begun_buy_is_in_doubt_until_it_is_finished(self, log: OrderLog) -> None:
        assert log.begin([BUY]) == log.begin([BUY]) == [None]
        assert log.intents(10) == [BUY]
        assert log.finish([(BUY, Sold(2599))]) == [0]
        assert log.intents(10) == []

    def test_a_finished_buy_is_answered_from_the_log(self, log: OrderLog) -> None:
        log.begin([BUY])
        log.finish([(BUY, Sold(2599))])
        assert log.begin([BUY]) == [0]
        assert log.finish([(BUY, Sold(2599))]) == log.finish([(BUY, OutOfStock())]) == [0]
        assert log.intents(10) == []

    @pytest.mark.parametrize("refusal", [OutOfStock(), ProductNotFound()])
    def test_a_refused_buy_is_refused_each_time(self, log: OrderLog, refusal: Refused) -> None:
        log.begin([BUY])
        assert log.finish([(BUY, refusal)]) == log.begin([BUY]) == log.finish([(BUY, Sold(1))]) == [refusal]
        assert log.intents(10) == []

    @pytest.mark.parametrize("other", [Buy("k", "Tux", 1), Buy("k", "Bird", 2)])
    def test_a_key_stands_for_one_product_and_quantity(self, log: OrderLog, other: Buy) -> None:
        log.begin([BUY])
        assert log.begin([other]) == [KeyReused()]
        log.finish([(BUY, Sold(1))])
        assert log.begin([other]) == log.finish([(other, Sold(1))]) == [KeyReused()]

    @pytest.mark.parametrize("other", [Buy("k", "Tux", 3), Buy("k", "Whale", 2)])
    def test_a_refused_key_stands_for_one_product_and_quantity(self, log: OrderLog, other: Buy) -> None:
        log.begin([BUY])
        log.finish([(BUY, OutOfStock())])
        assert log.begin([other]) == [KeyReused()]

    def test_a_key_that_the_catalog_has_for_another_buy_is_not_logged(self, log: OrderLog) -> None:
        log.begin([BUY])
        assert log.finish([(BUY, KeyReused())]) == [KeyReused()]
        assert log.intents(10) == []
        assert log.known(["k"]) == set()

    def test_a_key_whose_buy_was_not_logged_can_begin_another_buy(self, log: OrderLog) -> None:
        other = Buy("k", "Bird", 1)
        log.begin([BUY])
        log.finish([(BUY, KeyReused())])
        assert log.begin([other]) == [None]
        assert log.finish([(BUY, KeyReused())]) == [KeyReused()], "a second request for the first buy, late"
        assert log.intents(10) == [other]

    def test_equal_buys_in_one_call_have_one_answer(self, log: OrderLog) -> None:
        assert log.begin([BUY, BUY, Buy("k", "Bird", 1)]) == [None, None, KeyReused()]
        assert log.intents(10) == [BUY]
        assert log.finish([(BUY, Sold(1)), (BUY, Sold(1))]) == log.begin([BUY, BUY]) == [0, 0]

    def test_a_buy_is_found_by_its_key_whether_it_ended_or_not(self, log: OrderLog) -> None:
        buys = [Buy("sold", "Tux", 2), Buy("refused", "Tux", 99), Buy("begun", "Bird", 1)]
        log.begin(buys)
        log.finish([(buys[0], Sold(2599)), (buys[1], OutOfStock())])
        assert log.find(["begun", "none", "refused", "sold", "begun"]) == [
            KnownBuy(buys[2], None),
            None,
            KnownBuy(buys[1], OutOfStock()),
            KnownBuy(buys[0], log.order(0)),
            KnownBuy(buys[2], None),
        ]
        assert log.find([]) == []

    def test_known_keys_are_in_the_log_or_in_doubt(self, log: OrderLog) -> None:
        log_orders(log, "ordered")
        buys = [Buy("refused", "Nix", 1), Buy("begun", "Tux", 1)]
        log.begin(buys)
        log.finish([(buys[0], ProductNotFound())])
        keys = ["ordered", "refused", "begun", "new"]
        assert log.known(keys) == {"ordered", "refused", "begun"}
        assert log.in_doubt(keys) == {"begun"}
        assert log.known([]) == log.in_doubt([]) == set()

    def test_intents_come_oldest_first_and_by_pages(self, log: OrderLog) -> None:
        buys = [Buy(key, "Tux", 1) for key in "dacb"]
        log.begin(buys)
        assert log.intents(3) == buys[:3]
        assert log.intents(3, skip=2) == buys[2:]

    def test_an_order_is_found_by_its_number(self, log: OrderLog) -> None:
        log_orders(log, "a")
        order = log.order(0)
        assert (order.number, order.product, order.quantity, order.price_cents) == (0, "Tux", 1, 2599)
        assert order.time.endswith("Z")
        with pytest.raises(OrderNotFound):
            log.order(1)

    def test_an_order_is_found_with_its_key_and_with_no_other(self, log: OrderLog) -> None:
        log_orders(log, "a", "b")
        assert log.order(0, "a") == log.order(0)
        for key in ("b", "", "aa", "A", "\xe9"):
            with pytest.raises(OrderNotFound):
                log.order(0, key)

    def test_one_key_from_many_threads_is_one_order(self, log: OrderLog) -> None:
        def buy(_number: int) -> Placed:
            [placed] = retried(lambda: log.begin([BUY]))
            return retried(lambda: log.finish([(BUY, Sold(1))]))[0] if placed is None else placed

        assert at_once(buy) == [0] * THREADS
        assert log.intents(10) == []

    def test_many_threads_get_numbers_without_a_gap(self, log: OrderLog) -> None:
        def buy_five(thread: int) -> list[Placed]:
            return [retried(partial(log_orders, log, f"{thread}-{turn}"))[0] for turn in range(5)]

        numbers = [[number for number in placed if isinstance(number, int)] for placed in at_once(buy_five)]
        assert sorted(chain.from_iterable(numbers)) == list(range(5 * THREADS))
        assert all(of_thread == sorted(of_thread) for of_thread in numbers), "in the order of the commits"
