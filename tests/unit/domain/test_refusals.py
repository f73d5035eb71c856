"""The limit to refused buys: what is put off, and above all what is not."""

import json
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from werkzeug.test import Client

from db.catalog import CatalogStore
from db.order import OrderStore
from domain.errors import KeyReused, OutOfStock, ProductNotFound, StoreError, TooManyRefusals, Unavailable
from domain.protocols import Found, Receipt, Sale, Step
from domain.refusals import BURST_S, Allowance, LimitedCheckout
from domain.values import Buy, Product
from tests.support.books import Books
from tests.support.steps import begin
from tests.unit.domain.test_allowance import Clock
from wsgi_apps.front_end import FrontEndApp
from wsgi_apps.order import OrderApp
from wsgi_apps.recovery import OVERDUE_S, Recovery
from wsgi_apps.wire import decode_placed, decode_sale, encode_placed

BURST = 6
PER_S = BURST / BURST_S


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def checkout(orders: OrderStore, catalog: CatalogStore, clock: Clock) -> LimitedCheckout:
    """One that may refuse BURST buys, and one more each 100 s."""
    return LimitedCheckout(orders, catalog, Allowance(PER_S, clock))


def unknown(number: int) -> Buy:
    return Buy(f"unknown-{number}", "Unicorn", 1)


@pytest.fixture
def exhausted(checkout: LimitedCheckout) -> LimitedCheckout:
    """One that has refused as many as it may."""
    assert checkout.place_all([unknown(number) for number in range(BURST)]) == [ProductNotFound()] * BURST
    return checkout


def test_what_is_beyond_the_allowance_is_put_off_and_nothing_of_it_is_kept(
    checkout: LimitedCheckout, tmp_path: Path
) -> None:
    answers = checkout.place_all([unknown(number) for number in range(2 * BURST)])
    assert answers == [ProductNotFound()] * BURST + [TooManyRefusals()] * BURST
    before = Books.read(tmp_path)
    assert len(before.refused) == len(before.refused_by_catalog) == BURST
    for number in range(100, 200):
        with pytest.raises(TooManyRefusals):
            checkout.place(unknown(number))
    with pytest.raises(TooManyRefusals):
        checkout.place(Buy("short", "Tux", 81))
    assert Books.read(tmp_path) == before
    before.check()


def test_the_allowance_is_what_is_written_down_in_a_time(
    checkout: LimitedCheckout, clock: Clock, tmp_path: Path
) -> None:
    for number in range(500):
        checkout.place_all([unknown(2 * number), unknown(2 * number + 1)])
        clock.now += 1.0
    assert len(Books.read(tmp_path).refused) == BURST + 500 * PER_S - 1, "the last second's is still to come"


def test_a_buy_that_the_stock_suffices_for_goes_on(exhausted: LimitedCheckout) -> None:
    answers = exhausted.place_all([unknown(90), Buy("a", "Tux", 80), unknown(91), Buy("b", "Bird", 1)])
    assert answers == [TooManyRefusals(), 0, TooManyRefusals(), 1]


def test_a_batch_is_served_in_turn_and_what_it_leaves_short_is_put_off(
    exhausted: LimitedCheckout, catalog: CatalogStore, tmp_path: Path
) -> None:
    """Else as many as fit a batch would be refused, and written down, for the last piece of a product."""
    answers = exhausted.place_all([Buy(f"k{number}", "Tux", 30) for number in range(5)])
    assert answers == [0, 1] + [TooManyRefusals()] * 3
    assert exhausted.place_all([Buy("k9", "Tux", 20), Buy("k9", "Tux", 20)]) == [2, 2], "twice, and one buy"
    assert catalog.product("Tux").quantity == 0
    assert len(Books.read(tmp_path).refused) == BURST


def test_a_key_that_the_store_has_met_gets_its_answer(
    checkout: LimitedCheckout, orders: OrderStore, catalog: CatalogStore, tmp_path: Path
) -> None:
    sold, in_doubt = Buy("sold", "Tux", 80), Buy("in doubt", "Whale", 94)
    assert checkout.place(sold) == 0
    begin(orders, [in_doubt])
    catalog.sell([in_doubt])  # and the reply was lost
    checkout.place_all([unknown(number) for number in range(BURST)])
    reused = Buy("sold", "Unicorn", 1)
    # The stock of none of them would suffice now.
    assert checkout.place_all([unknown(99), sold, unknown(0), in_doubt, reused]) == [
        TooManyRefusals(),
        0,
        ProductNotFound(),
        1,
        KeyReused(),
    ]
    Books.read(tmp_path).check()


def test_a_refused_key_that_is_repeated_costs_nobody_anything(checkout: LimitedCheckout) -> None:
    for _ in range(10 * BURST):
        assert checkout.place_all([unknown(0)]) == [ProductNotFound()]
    assert checkout.place_all([unknown(1)]) == [ProductNotFound()], "one was written, and there is room for more"


def test_a_key_that_was_put_off_gets_its_one_answer_later(
    exhausted: LimitedCheckout, orders: OrderStore, catalog: CatalogStore, clock: Clock, tmp_path: Path
) -> None:
    late, short = Buy("late", "Unicorn", 1), Buy("short", "Whale", 95)
    for buy in (late, short):
        with pytest.raises(TooManyRefusals):
            exhausted.place(buy)
    clock.now += 250.0
    for buy, refusal in ((late, ProductNotFound), (short, OutOfStock)):
        for _ in range(2):
            with pytest.raises(refusal):
                exhausted.place(buy)
    Books.read(tmp_path).check()


class Watched:
    """The catalog, which notes how long each call may take, and can be away."""

    def __init__(self, catalog: CatalogStore) -> None:
        self._catalog = catalog
        self.lookups: list[float | None] = []
        self.sales: list[float | None] = []
        self.is_away = False

    def lookup(self, names: Sequence[str], timeout_s: float | None = None) -> list[Product | ProductNotFound]:
        self.lookups.append(timeout_s)
        if self.is_away:
            raise Unavailable
        return self._catalog.lookup(names)

    def sell(self, buys: Sequence[Buy], timeout_s: float | None = None) -> list[Sale]:
        self.sales.append(timeout_s)
        return self._catalog.sell(buys)


def test_in_a_good_time_nothing_is_looked_up(orders: OrderStore, catalog: CatalogStore, clock: Clock) -> None:
    watched = Watched(catalog)
    checkout = LimitedCheckout(orders, watched, Allowance(PER_S, clock))
    checkout.place_all([Buy("a", "Tux", 1), unknown(1)], timeout_s=2.0)
    assert watched.lookups == []
    assert len(watched.sales) == 1


def test_two_batches_at_once_do_not_share_what_is_left(
    checkout: LimitedCheckout, orders: OrderStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write, both = orders.write, threading.Barrier(2)

    def write_when_both_begin(steps: Sequence[Step]) -> list[Receipt | None]:
        if steps[0][1] is None:
            with suppress(threading.BrokenBarrierError):  # as it should be: the other batch does not come here yet
                both.wait(0.2)
        return write(steps)

    monkeypatch.setattr(orders, "write", write_when_both_begin)
    batches = [[unknown(10 * number + at) for at in range(BURST)] for number in (1, 2)]
    with ThreadPoolExecutor(2) as pool:
        placed = [answer for answers in pool.map(checkout.place_all, batches) for answer in answers]
    assert placed.count(ProductNotFound()) == len(Books.read(tmp_path).refused) == BURST


def test_looking_and_buying_share_a_deadline(orders: OrderStore, catalog: CatalogStore) -> None:
    watched = Watched(catalog)
    checkout = LimitedCheckout(orders, watched, Allowance(PER_S, clock=lambda: 0.0))
    checkout.place_all([unknown(number) for number in range(BURST)])
    watched.sales.clear()
    assert checkout.place_all([Buy("a", "Tux", 1)], timeout_s=2.0) == [0]
    [lookup_s] = watched.lookups
    assert lookup_s is not None and 0.0 < lookup_s <= 2.0
    [remaining_s] = watched.sales
    assert remaining_s is not None and remaining_s < 2.0
    with pytest.raises(Unavailable):
        checkout.place_all([Buy("b", "Tux", 1)], timeout_s=0.0)
    assert orders.intents(10) == []


def test_without_the_catalog_nothing_is_begun(orders: OrderStore, catalog: CatalogStore, clock: Clock) -> None:
    watched = Watched(catalog)
    checkout = LimitedCheckout(orders, watched, Allowance(PER_S, clock))
    checkout.place_all([unknown(number) for number in range(BURST)])
    watched.is_away = True
    with pytest.raises(Unavailable):
        checkout.place(Buy("a", "Tux", 1))
    assert orders.intents(10) == []


@pytest.mark.parametrize("tier", ["front end", "order tier"])
def test_a_buy_that_was_put_off_is_429_and_told_when_to_come_back(
    exhausted: LimitedCheckout, catalog: CatalogStore, tier: str
) -> None:
    client, prefix = (
        (Client(FrontEndApp(catalog, exhausted)), "")
        if tier == "front end"
        else (Client(OrderApp(exhausted)), "/products")
    )
    response = client.post(f"{prefix}/Unicorn/1", headers={"Idempotency-Key": "k"})
    assert (response.status_code, response.headers["Retry-After"]) == (429, str(round(1 / PER_S)))
    assert response.headers["Idempotency-Key"] == "k"
    assert response.json == {"error": {"code": 429, "message": TooManyRefusals.message}}
    assert client.post(f"{prefix}/Tux/1").json == {"data": {"order_number": "0"}}


def test_a_buy_that_was_put_off_travels_and_is_never_taken_for_a_sale() -> None:
    row = encode_placed(TooManyRefusals())
    assert row == [429, TooManyRefusals.message, None]
    assert decode_placed(row) == TooManyRefusals()
    travelled = decode_placed(encode_placed(TooManyRefusals(retry_after_s=70)))
    assert isinstance(travelled, TooManyRefusals)
    assert travelled.retry_after_s == 70
    with pytest.raises(ValueError, match="not a definite answer"):
        decode_sale(row)
    with pytest.raises(StoreError):
        raise TooManyRefusals


def test_buys_that_begin_while_the_catalog_is_away_count_until_they_end(
    orders: OrderStore, catalog: CatalogStore, clock: Clock
) -> None:
    class Away(CatalogStore):
        def lookup(self, names: Sequence[str], timeout_s: float | None = None) -> list[Product | ProductNotFound]:
            raise Unavailable

        def sell(self, buys: Sequence[Buy], timeout_s: float | None = None, **_options: object) -> list[Sale]:
            raise Unavailable

    checkout = LimitedCheckout(orders, Away(Path("nowhere")), Allowance(PER_S, clock))
    for number in range(10 * BURST):
        with pytest.raises(Unavailable):
            checkout.place_all([unknown(number)])
    assert len(orders.intents(1_000)) == BURST, "nobody fills the disk with intents either"


class Away:
    """The catalog, which can be away; what it cannot answer is Unavailable."""

    def __init__(self, catalog: CatalogStore) -> None:
        self._catalog = catalog
        self.is_away = True

    def lookup(self, names: Sequence[str], timeout_s: float | None = None) -> Sequence[Found]:
        if self.is_away:
            raise Unavailable
        return self._catalog.lookup(names)

    def sell(self, buys: Sequence[Buy], timeout_s: float | None = None) -> list[Sale]:
        if self.is_away:
            raise Unavailable
        return self._catalog.sell(buys)


@pytest.fixture
def away(catalog: CatalogStore) -> Away:
    return Away(catalog)


@pytest.fixture
def allowance(clock: Clock) -> Allowance:
    return Allowance(PER_S, clock)


@pytest.fixture
def unlucky(orders: OrderStore, away: Away, allowance: Allowance) -> LimitedCheckout:
    """A checkout whose catalog is away."""
    return LimitedCheckout(orders, away, allowance)


def place_in_vain(checkout: LimitedCheckout, *buys: Buy) -> None:
    with pytest.raises(Unavailable):
        checkout.place_all(buys)


def test_a_key_in_doubt_counts_once_however_often_it_is_sent(
    unlucky: LimitedCheckout, allowance: Allowance, clock: Clock
) -> None:
    for _ in range(200):
        place_in_vain(unlucky, Buy("a", "Tux", 1), Buy("b", "Nix", 1))
    assert allowance.left() == BURST - 2
    clock.now += 10 * BURST_S
    assert allowance.left() == BURST - 2, "and until it ends"


def test_what_a_key_in_doubt_holds_is_given_back_when_it_is_sold(
    unlucky: LimitedCheckout, allowance: Allowance, away: Away
) -> None:
    buys = [Buy(f"k{number}", "Tux", 1) for number in range(BURST)]
    place_in_vain(unlucky, *buys)
    assert allowance.left() == 0
    away.is_away = False
    assert unlucky.place_all(buys) == list(range(BURST))
    assert allowance.left() == BURST


def test_a_key_in_doubt_that_is_refused_is_paid_once(
    unlucky: LimitedCheckout, allowance: Allowance, away: Away
) -> None:
    for _ in range(3):
        place_in_vain(unlucky, unknown(1), unknown(2))
    away.is_away = False
    for _ in range(3):
        assert unlucky.place_all([unknown(1), unknown(2)]) == [ProductNotFound()] * 2
    assert allowance.left() == BURST - 2


def test_a_key_of_another_buy_costs_nothing(
    unlucky: LimitedCheckout, allowance: Allowance, away: Away, catalog: CatalogStore
) -> None:
    catalog.sell([Buy("k", "Whale", 1)], reason="decrement")
    place_in_vain(unlucky, Buy("k", "Tux", 1))
    away.is_away = False
    assert unlucky.place_all([Buy("k", "Tux", 1)]) == [KeyReused()]
    assert allowance.left() == BURST


def test_a_refusal_that_could_not_be_written_down_is_not_paid_twice(
    unlucky: LimitedCheckout, allowance: Allowance, away: Away, orders: OrderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    away.is_away = False
    write = orders.write

    def full_when_it_ends(steps: Sequence[Step]) -> list[Receipt | None]:
        if steps[0][1] is not None:
            raise Unavailable
        return write(steps)

    monkeypatch.setattr(orders, "write", full_when_it_ends)
    for _ in range(3):
        place_in_vain(unlucky, unknown(1))
    assert allowance.left() == BURST - 1
    monkeypatch.setattr(orders, "write", write)
    assert unlucky.place_all([unknown(1)]) == [ProductNotFound()]
    assert allowance.left() == BURST - 1


def test_the_recovery_ends_what_the_requests_began(
    unlucky: LimitedCheckout, allowance: Allowance, away: Away, orders: OrderStore
) -> None:
    place_in_vain(unlucky, Buy("sold", "Tux", 1), unknown(1))
    assert allowance.left() == BURST - 2
    away.is_away = False
    sweeper = Recovery(LimitedCheckout(orders, away, allowance))
    sweeper.sweep(0.0)
    sweeper.sweep(OVERDUE_S)
    assert orders.intents(1) == []
    assert allowance.left() == BURST - 1


def test_what_another_worker_has_brought_to_its_end_is_given_back(
    unlucky: LimitedCheckout, allowance: Allowance, away: Away, orders: OrderStore, clock: Clock
) -> None:
    """It has an allowance of its own, and has paid from that."""
    place_in_vain(unlucky, Buy("sold", "Tux", 1), unknown(1), Buy("in doubt", "Tux", 1))
    away.is_away = False
    others = Allowance(PER_S, clock)
    LimitedCheckout(orders, away, others).place_all([Buy("sold", "Tux", 1), unknown(1)])
    assert (allowance.left(), others.left()) == (BURST - 3, BURST - 1)
    Recovery(unlucky).sweep(0.0)
    assert allowance.left() == BURST - 1, "one is still in doubt"


def test_what_the_last_run_left_in_doubt_is_paid_when_it_is_refused(
    unlucky: LimitedCheckout, allowance: Allowance, away: Away, orders: OrderStore
) -> None:
    begin(orders, [Buy("sold", "Tux", 1), unknown(1), unknown(2)])
    away.is_away = False
    assert allowance.left() == BURST
    unlucky.settle(orders.intents(10))
    assert allowance.left() == BURST - 2


def test_each_in_a_batch_is_told_its_own_wait_by_way_of_both_tiers(exhausted: LimitedCheckout) -> None:
    response = Client(OrderApp(exhausted)).post("/v1/buys", json=[[f"k{number}", "Nix", 1] for number in range(3)])
    data = json.loads(response.text)["data"]
    assert [retry_after_s for _status, _message, retry_after_s in data] == [100, 200, 300]
    placed = [decode_placed(value) for value in data]
    assert [one.retry_after_s for one in placed if isinstance(one, TooManyRefusals)] == [100, 200, 300]
