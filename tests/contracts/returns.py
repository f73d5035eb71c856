"""Tests that every implementation of the protocols ReturnLog, ReturnCatalog and OwnerReturns must pass."""

from contextlib import suppress

import pytest

from db.sqlite.catalog import CatalogStore
from db.sqlite.order import OrderStore
from domain.errors import AnotherStore, Invalid, KeyReused, OrderNotFound, ProductNotFound, StoreError, Unavailable
from domain.pairing import LogMark
from domain.protocols import Catalog
from domain.returns import OwnerReturns, Return, Returned, Returns, SaleReturn, TakenBack
from domain.values import Buy, Product, Sold
from tests.support.at_once import at_once

PIECES = SaleReturn("r", "k", "Tux", 2, "broken")


class ReturnCatalogContract:
    """A catalog takes back, once for a key, no more pieces of a sale than it sold."""

    @pytest.fixture
    def subject(self, catalog: Catalog) -> Catalog:
        """The implementation under test, with 80 Tux and 98 Bird, none sold yet."""
        return catalog

    def pieces(self, subject: Catalog, name: str) -> int:
        [found] = subject.lookup([name])
        assert isinstance(found, Product)
        return found.quantity

    @pytest.fixture
    def sold(self, subject: Catalog) -> Catalog:
        """The catalog under test after a sale of 5 Tux under the key k, and one of 3 Bird under b."""
        assert subject.sell([Buy("k", "Tux", 5), Buy("b", "Bird", 3)]) == [Sold(2599), Sold(3999)]
        return subject

    def test_returned_pieces_are_in_stock_again_once(self, sold: Catalog) -> None:
        for _ in range(2):
            assert sold.take_back([PIECES, PIECES]) == [TakenBack()] * 2
            assert self.pieces(sold, "Tux") == 77

    def test_a_sale_is_given_back_in_parts_and_never_beyond_its_pieces(self, sold: Catalog) -> None:
        too_many = SaleReturn("r2", "k", "Tux", 4)
        beyond = Invalid("the catalog has 3 pieces of the order left to take back, and not 4")
        assert sold.take_back([PIECES, too_many, SaleReturn("r3", "k", "Tux", 3)]) == [TakenBack(), beyond, TakenBack()]
        assert self.pieces(sold, "Tux") == 80
        [rest] = sold.take_back([SaleReturn("r4", "k", "Tux", 1)])
        assert isinstance(rest, Invalid)
        assert sold.take_back([PIECES]) == [TakenBack()], "a repeated return gets its answer"
        assert self.pieces(sold, "Tux") == 80

    @pytest.mark.parametrize("other", [SaleReturn("r", "nix", "Tux", 1), SaleReturn("r", "k", "Bird", 1)])
    def test_what_was_not_sold_is_not_taken_back(self, sold: Catalog, other: SaleReturn) -> None:
        [refused] = sold.take_back([other])
        assert isinstance(refused, Invalid)
        assert (self.pieces(sold, "Tux"), self.pieces(sold, "Bird")) == (75, 95)

    def test_a_direct_decrement_is_no_sale_that_can_be_given_back(self, sold: Catalog) -> None:
        sold.decrement(Buy("d", "Tux", 1))
        [refused] = sold.take_back([SaleReturn("r", "d", "Tux", 1)])
        assert isinstance(refused, Invalid)

    @pytest.mark.parametrize(
        "other",
        [
            SaleReturn("r", "k", "Tux", 1, "broken"),
            SaleReturn("r", "k", "Tux", 2),
            SaleReturn("r", "b", "Bird", 2, "broken"),
            SaleReturn("k", "k", "Tux", 5),
            SaleReturn("refused", "k", "Tux", 1),
        ],
    )
    def test_a_key_stands_for_one_return(self, sold: Catalog, other: SaleReturn) -> None:
        sold.sell([Buy("refused", "Tux", 1000)])
        sold.take_back([PIECES])
        assert sold.take_back([other]) == [KeyReused()]
        assert (self.pieces(sold, "Tux"), self.pieces(sold, "Bird")) == (77, 95)

    def test_the_key_of_a_return_buys_nothing(self, sold: Catalog) -> None:
        sold.take_back([PIECES])
        assert sold.sell([Buy("r", "Tux", 2), Buy("r", "Tux", 1000)]) == [KeyReused()] * 2
        with pytest.raises(KeyReused):
            sold.decrement(Buy("r", "Tux", 2))

    def test_another_stores_catalog_takes_nothing_back(self, sold: Catalog) -> None:
        with pytest.raises((AnotherStore, Unavailable)):  # Unavailable: a pairing looks for the right catalog
            sold.take_back([PIECES], log=LogMark("0" * 32, None))
        assert self.pieces(sold, "Tux") == 75


class ReturnLogContract:
    """A log of returns reserves the pieces of a return in doubt, and logs each return once for its key."""

    @pytest.fixture
    def log(self, orders: OrderStore) -> OrderStore:
        """The log under test: order 0 is 5 Tux under the key k, order 1 is 1 Bird under the key b."""
        buys = [Buy("k", "Tux", 5), Buy("b", "Bird", 1)]
        orders.begin(buys)
        assert orders.finish([(buy, Sold(2599)) for buy in buys]) == [0, 1]
        return orders

    def test_a_begun_return_is_in_doubt_until_it_is_finished(self, log: OrderStore) -> None:
        asked = Return("r", 0, 2, "broken")
        assert log.begin_returns([asked]) == log.begin_returns([asked]) == [PIECES]
        assert log.return_intents(10) == [PIECES]
        [returned] = log.finish_returns([(PIECES, TakenBack())])
        assert isinstance(returned, Returned) and returned.time.endswith("Z")
        assert (returned.number, returned.quantity, returned.returned) == (0, 2, 2)
        assert log.return_intents(10) == []
        assert log.begin_returns([asked]) == log.finish_returns([(PIECES, TakenBack())]) == [returned]
        assert log.finish_returns([(PIECES, Invalid("late"))]) == [returned]

    def test_a_repeated_return_counts_the_pieces_up_to_itself(self, log: OrderStore) -> None:
        first, second = Return("r", 0, 2), Return("s", 0, 1)
        for asked in (first, second):
            [pieces] = log.begin_returns([asked])
            assert isinstance(pieces, SaleReturn)
            log.finish_returns([(pieces, TakenBack())])
        answers = log.begin_returns([first, second])
        assert [one.returned for one in answers if isinstance(one, Returned)] == [2, 3]

    def test_no_more_is_given_back_than_was_bought(self, log: OrderStore) -> None:
        assert log.begin_returns([Return("r", 0, 6)]) == [
            Invalid("order 0 has 5 of its pieces left to give back, and not 6")
        ]
        log.begin_returns([Return("r", 0, 3)])
        left_2 = Invalid("order 0 has 2 of its pieces left to give back, and not 3")
        assert log.begin_returns([Return("s", 0, 3)]) == [left_2], "the pieces of a return in doubt are not left"
        log.finish_returns([(SaleReturn("r", "k", "Tux", 3), TakenBack())])
        assert log.begin_returns([Return("s", 0, 3)]) == [left_2]
        log.begin_returns([Return("s", 0, 2)])
        none_left = Invalid("no piece of order 0 is left to give back")
        assert log.begin_returns([Return("t", 0, 1), Return("t", 0)]) == [none_left] * 2

    def test_without_a_quantity_all_pieces_that_are_left_are_given_back(self, log: OrderStore) -> None:
        log.begin_returns([Return("r", 0, 2)])
        rest = SaleReturn("all", "k", "Tux", 3)
        assert log.begin_returns([Return("all", 0)]) == log.begin_returns([Return("all", 0)]) == [rest]
        assert log.begin_returns([Return("all", 0, 3)]) == [rest]
        [returned] = log.finish_returns([(rest, TakenBack())])
        assert log.begin_returns([Return("all", 0)]) == [returned]

    def test_there_is_no_return_of_an_unknown_order(self, log: OrderStore) -> None:
        assert log.begin_returns([Return("r", 2), Return("r", 10**17, 1)]) == [OrderNotFound()] * 2
        assert log.return_intents(10) == []

    @pytest.mark.parametrize("is_logged", [False, True])
    @pytest.mark.parametrize("other", [Return("r", 0, 1, "broken"), Return("r", 1, 2, "broken"), Return("r", 0, 2)])
    def test_a_key_stands_for_one_return(self, log: OrderStore, other: Return, is_logged: bool) -> None:
        log.begin_returns([Return("r", 0, 2, "broken")])
        if is_logged:
            log.finish_returns([(PIECES, TakenBack())])
        assert log.begin_returns([other]) == [KeyReused()]

    @pytest.mark.parametrize("key", ["k", "refused", "begun"])
    def test_the_key_of_a_buy_gives_nothing_back(self, log: OrderStore, key: str) -> None:
        buys = [Buy("refused", "Nix", 1), Buy("begun", "Tux", 1)]
        log.begin(buys)
        log.finish([(buys[0], ProductNotFound())])
        assert log.begin_returns([Return(key, 0, 1)]) == [KeyReused()]
        assert log.return_intents(10) == []

    @pytest.mark.parametrize("refusal", [KeyReused(), Invalid("no such sale")])
    def test_a_return_that_the_catalog_refuses_leaves_its_pieces(
        self, log: OrderStore, refusal: KeyReused | Invalid
    ) -> None:
        [pieces] = log.begin_returns([Return("r", 0)])
        assert isinstance(pieces, SaleReturn)
        assert log.finish_returns([(pieces, refusal)]) == [refusal]
        assert log.return_intents(10) == []
        assert log.begin_returns([Return("s", 0)]) == [SaleReturn("s", "k", "Tux", 5)]

    def test_the_late_end_of_another_return_deletes_no_intent(self, log: OrderStore) -> None:
        [first] = log.begin_returns([Return("r", 0, 2)])
        assert isinstance(first, SaleReturn)
        log.finish_returns([(first, KeyReused())])
        second = SaleReturn("r", "k", "Tux", 3)
        assert log.begin_returns([Return("r", 0, 3)]) == [second]
        assert log.finish_returns([(first, KeyReused())]) == [KeyReused()]
        assert log.return_intents(10) == [second]

    def test_the_end_of_a_return_leaves_another_of_as_many_pieces_in_doubt(self, log: OrderStore) -> None:
        first, second = log.begin_returns([Return("r", 0, 1), Return("s", 0, 1)])
        assert isinstance(first, SaleReturn)
        log.finish_returns([(first, TakenBack())])
        assert log.return_intents(10) == [second]

    def test_returns_in_doubt_come_oldest_first_and_by_pages(self, log: OrderStore) -> None:
        log.begin_returns([Return(key, 0, 1) for key in "dacx"])
        assert [one.key for one in log.return_intents(3)] == ["d", "a", "c"]
        assert [one.key for one in log.return_intents(3, skip=2)] == ["c", "x"]


@pytest.mark.usefixtures("bought")
class OwnerReturnsContract:
    """The order tier gives pieces of order 0 back, once for a key, and never more than were bought."""

    @pytest.fixture
    def subject(self, returns: Returns) -> OwnerReturns:
        """The implementation under test."""
        return returns

    def test_pieces_are_given_back_once_for_their_key(self, subject: OwnerReturns, catalog: CatalogStore) -> None:
        first = subject.give_back(Return("r", 0, 2, "zu groß"))
        assert (first.number, first.quantity, first.returned) == (0, 2, 2)
        rest = subject.give_back(Return("s", 0))
        assert (rest.quantity, rest.returned) == (3, 5)
        assert subject.give_back(Return("r", 0, 2, "zu groß")) == first
        assert subject.give_back(Return("s", 0)) == subject.give_back(Return("s", 0, 3)) == rest
        assert catalog.product("Tux").quantity == 80

    @pytest.mark.parametrize(
        ("asked", "error"),
        [
            (Return("r", 0, 6), Invalid("order 0 has 5 of its pieces left to give back, and not 6")),
            (Return("r", 1), OrderNotFound()),
            (Return("k", 0), KeyReused()),
        ],
    )
    def test_a_wrong_return_is_refused(
        self, subject: OwnerReturns, catalog: CatalogStore, asked: Return, error: StoreError
    ) -> None:
        for _ in range(2):
            with pytest.raises(type(error), match=error.message):
                subject.give_back(asked)
        assert catalog.product("Tux").quantity == 75

    def test_of_many_returns_at_once_no_more_succeed_than_were_bought(
        self, subject: OwnerReturns, catalog: CatalogStore
    ) -> None:
        def give_back(number: int) -> int:
            while True:  # a database may be busy
                with suppress(Unavailable):
                    try:
                        return subject.give_back(Return(f"r{number}", 0, 2)).quantity
                    except Invalid:
                        return 0

        assert sum(at_once(give_back, 4)) == 4
        assert catalog.product("Tux").quantity == 79
