"""Tests that every implementation of the protocol Orders must pass."""

from contextlib import suppress

import pytest

from domain.errors import KeyReused, OrderNotFound, OutOfStock, ProductNotFound, Unavailable
from domain.protocols import Orders, Placed
from domain.values import Buy, KnownBuy
from tests.support.at_once import THREADS, at_once


def place(subject: Orders, buy: Buy) -> Placed:
    """Repeats the buy under its key until it has an answer, as clients do."""
    while True:
        with suppress(Unavailable):
            [placed] = subject.place_all([buy])
            if not isinstance(placed, Unavailable):
                return placed


class OrdersContract:
    """A key buys once, and all answers to it are the same."""

    @pytest.fixture
    def subject(self, checkout: Orders) -> Orders:
        """The Orders under test: empty, with a catalog that has Tux 80, Whale 94, Elephant 87, Bird 98."""
        return checkout

    def test_orders_are_numbered_from_0(self, subject: Orders) -> None:
        assert subject.place_all([Buy("a", "Tux", 1), Buy("b", "Bird", 2)]) == [0, 1]
        assert subject.place_all([Buy("c", "Tux", 1)]) == [2]
        assert subject.place_all([]) == []

    def test_a_repeated_key_gets_the_same_number(self, subject: Orders) -> None:
        buys = [Buy("a", "Tux", 79), Buy("b", "Tux", 1)]
        assert [subject.place_all(buys) for _ in range(3)] == [[0, 1]] * 3
        assert subject.place_all([buys[1], buys[1], buys[0]]) == [1, 1, 0]

    def test_equal_buys_in_one_call_are_one_buy(self, subject: Orders) -> None:
        buy = Buy("a", "Tux", 80)
        assert subject.place_all([buy, buy]) == [0, 0]

    def test_the_result_of_a_refused_buy_is_its_error(self, subject: Orders) -> None:
        buys = [Buy("a", "Tux", 1), Buy("b", "Nix", 1), Buy("c", "Tux", 80), Buy("d", "Tux", 79)]
        assert subject.place_all(buys) == [0, ProductNotFound(), OutOfStock(), 1]

    def test_a_refused_key_is_refused_each_time(self, subject: Orders) -> None:
        buys = [Buy("a", "Tux", 81), Buy("b", "Nix", 1)]
        assert [subject.place_all(buys) for _ in range(2)] == [[OutOfStock(), ProductNotFound()]] * 2

    @pytest.mark.parametrize("first", [Buy("k", "Tux", 3), Buy("k", "Tux", 81)], ids=["sold", "refused"])
    @pytest.mark.parametrize("other", [Buy("k", "Tux", 4), Buy("k", "Whale", 3)])
    def test_a_key_stands_for_one_product_and_quantity(self, subject: Orders, first: Buy, other: Buy) -> None:
        subject.place_all([first])
        assert subject.place_all([other]) == [KeyReused()]

    def test_an_order_is_found_by_its_number_and_its_key(self, subject: Orders) -> None:
        subject.place_all([Buy("a", "Tux", 1), Buy("b", "Bird", 2)])
        order = subject.order(1)
        assert (order.number, order.product, order.quantity, order.price_cents) == (1, "Bird", 2, 3999)
        assert subject.order(1, "b") == order
        with pytest.raises(OrderNotFound):
            subject.order(1, "a")
        with pytest.raises(OrderNotFound):
            subject.order(2)

    def test_a_buy_is_found_by_its_key(self, subject: Orders) -> None:
        buys = [Buy("a", "Tux", 1), Buy("b", "Bird", 2), Buy("c", "Tux", 81), Buy('"d/%', "Nix", 1)]
        subject.place_all(buys)
        found = subject.find(["b", "unknown", '"d/%', "c", "a", "b"])
        orders = [subject.order(0), subject.order(1)]
        assert found == [
            KnownBuy(buys[1], orders[1]),
            None,
            KnownBuy(buys[3], ProductNotFound()),
            KnownBuy(buys[2], OutOfStock()),
            KnownBuy(buys[0], orders[0]),
            KnownBuy(buys[1], orders[1]),
        ]
        assert subject.find([]) == []

    def test_one_key_from_many_threads_is_one_order(self, subject: Orders) -> None:
        assert at_once(lambda _: place(subject, Buy("k", "Tux", 80))) == [0] * THREADS
        assert subject.place_all([Buy("next", "Bird", 1)]) == [1]

    def test_no_more_threads_buy_than_there_are_pieces(self, subject: Orders) -> None:
        subject.place_all([Buy("most", "Tux", 78)])
        placed = at_once(lambda number: place(subject, Buy(f"k{number}", "Tux", 1)))
        assert sorted(number for number in placed if isinstance(number, int)) == [1, 2]
        assert placed.count(OutOfStock()) == THREADS - 2
