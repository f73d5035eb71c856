"""The limit to refused buys: the buys that are throttled, and above all those that are not."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from db.sqlite.catalog import CatalogStore
from db.sqlite.order import OrderStore
from domain.errors import KeyReused, OutOfStock, ProductNotFound, TooManyRefusals, Unavailable
from domain.limited_checkout import LimitedCheckout
from domain.protocols import Placed
from domain.refusal_limit import RefusalLimit
from domain.values import Buy
from tests.contracts.orders import OrdersContract
from tests.support.books import Books
from tests.support.buying import BURST, PER_S, place, unknown
from tests.support.catalog_proxy import WatchedCatalog
from tests.support.clock import Clock


class TestLimitedCheckout(OrdersContract):
    """A limited checkout fulfils the contract of orders, while the limit has room."""

    @pytest.fixture
    def subject(self, orders: OrderStore, catalog: CatalogStore) -> LimitedCheckout:
        return LimitedCheckout(orders, catalog, RefusalLimit(1_000))


def test_buys_beyond_the_limit_are_throttled_and_nothing_of_them_is_kept(
    limited: LimitedCheckout, tmp_path: Path
) -> None:
    answers = limited.place_all([unknown(number) for number in range(2 * BURST)])
    assert answers == [ProductNotFound()] * BURST + [TooManyRefusals()] * BURST
    before = Books.read(tmp_path)
    assert len(before.refused) == len(before.refused_by_catalog) == BURST
    for number in range(100, 200):
        with pytest.raises(TooManyRefusals):
            place(limited, unknown(number))
    with pytest.raises(TooManyRefusals):
        place(limited, Buy("short", "Tux", 81))
    assert Books.read(tmp_path) == before
    before.check()


def test_the_limit_is_the_rate_at_which_refusals_are_stored(
    limited: LimitedCheckout, clock: Clock, tmp_path: Path
) -> None:
    for number in range(500):
        limited.place_all([unknown(2 * number), unknown(2 * number + 1)])
        clock.now += 1.0
    assert len(Books.read(tmp_path).refused) == BURST + 500 * PER_S - 1, "the last second's is still to come"


def test_a_buy_for_which_the_stock_suffices_is_not_throttled(exhausted: LimitedCheckout) -> None:
    answers = exhausted.place_all([unknown(90), Buy("a", "Tux", 80), unknown(91), Buy("b", "Bird", 1)])
    assert answers == [TooManyRefusals(), 0, TooManyRefusals(), 1]


def test_the_buys_of_a_batch_take_the_stock_in_turn_and_the_rest_is_throttled(
    exhausted: LimitedCheckout, catalog: CatalogStore, tmp_path: Path
) -> None:
    """Otherwise a whole batch could be refused, and stored, for the last piece of a product."""
    answers = exhausted.place_all([Buy(f"k{number}", "Tux", 30) for number in range(5)])
    assert answers == [0, 1] + [TooManyRefusals()] * 3
    assert exhausted.place_all([Buy("k9", "Tux", 20), Buy("k9", "Tux", 20)]) == [2, 2], "both are one buy"
    assert catalog.product("Tux").quantity == 0
    assert len(Books.read(tmp_path).refused) == BURST


def test_a_known_key_gets_its_answer(
    limited: LimitedCheckout, orders: OrderStore, catalog: CatalogStore, tmp_path: Path
) -> None:
    sold, in_doubt = Buy("sold", "Tux", 80), Buy("in doubt", "Whale", 94)
    assert place(limited, sold) == 0
    orders.begin([in_doubt])
    catalog.sell([in_doubt])  # its reply was lost
    limited.place_all([unknown(number) for number in range(BURST)])
    reused = Buy("sold", "Unicorn", 1)
    # The stock of none of them would suffice now.
    assert limited.place_all([unknown(99), sold, unknown(0), in_doubt, reused]) == [
        TooManyRefusals(),
        0,
        ProductNotFound(),
        1,
        KeyReused(),
    ]
    Books.read(tmp_path).check()


def test_a_refused_key_that_is_repeated_takes_no_room(limited: LimitedCheckout) -> None:
    for _ in range(10 * BURST):
        assert limited.place_all([unknown(0)]) == [ProductNotFound()]
    assert limited.place_all([unknown(1)]) == [ProductNotFound()], "only one refusal was stored"


def test_a_throttled_key_gets_its_one_answer_later(exhausted: LimitedCheckout, clock: Clock, tmp_path: Path) -> None:
    late, short = Buy("late", "Unicorn", 1), Buy("short", "Whale", 95)
    for buy in (late, short):
        with pytest.raises(TooManyRefusals):
            place(exhausted, buy)
    clock.now += 250.0
    for buy, refusal in ((late, ProductNotFound), (short, OutOfStock)):
        for _ in range(2):
            with pytest.raises(refusal):
                place(exhausted, buy)
    Books.read(tmp_path).check()


def test_each_throttled_buy_of_a_batch_has_a_retry_after_of_its_own(exhausted: LimitedCheckout) -> None:
    placed = exhausted.place_all([Buy(f"k{number}", "Nix", 1) for number in range(3)])
    assert [answer.retry_after_s for answer in placed if isinstance(answer, TooManyRefusals)] == [100, 200, 300]


def test_while_there_is_room_the_stock_is_not_looked_up(limited: LimitedCheckout, watched: WatchedCatalog) -> None:
    limited.place_all([Buy("a", "Tux", 1), unknown(1)], timeout_s=2.0)
    assert watched.lookup_timeouts_s == []
    assert len(watched.sale_timeouts_s) == 1


def test_two_batches_at_once_do_not_use_the_same_room(
    limited: LimitedCheckout, orders: OrderStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    begin, both = orders.begin, threading.Barrier(2)

    def begin_when_both_do(buys: Sequence[Buy]) -> list[Placed | None]:
        with suppress(threading.BrokenBarrierError):  # expected: the other batch waits for its turn
            both.wait(0.2)
        return begin(buys)

    monkeypatch.setattr(orders, "begin", begin_when_both_do)
    batches = [[unknown(10 * number + at) for at in range(BURST)] for number in (1, 2)]
    with ThreadPoolExecutor(2) as pool:
        placed = [answer for answers in pool.map(limited.place_all, batches) for answer in answers]
    assert placed.count(ProductNotFound()) == len(Books.read(tmp_path).refused) == BURST


def test_the_look_up_and_the_sale_share_a_deadline(
    exhausted: LimitedCheckout, watched: WatchedCatalog, orders: OrderStore
) -> None:
    watched.sale_timeouts_s.clear()
    assert exhausted.place_all([Buy("a", "Tux", 1)], timeout_s=2.0) == [0]
    [lookup_s] = watched.lookup_timeouts_s
    assert lookup_s is not None and 0.0 < lookup_s <= 2.0
    [remaining_s] = watched.sale_timeouts_s
    assert remaining_s is not None and remaining_s < 2.0
    with pytest.raises(Unavailable):
        exhausted.place_all([Buy("b", "Tux", 1)], timeout_s=0.0)
    assert orders.intents(10) == []


def test_no_buy_begins_while_its_stock_is_unknown(
    exhausted: LimitedCheckout, watched: WatchedCatalog, orders: OrderStore
) -> None:
    watched.is_away = True
    with pytest.raises(Unavailable):
        place(exhausted, Buy("a", "Tux", 1))
    assert orders.intents(10) == []
