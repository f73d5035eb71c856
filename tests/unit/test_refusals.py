"""The limit to refused buys: what is put off, and above all what is not."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from werkzeug.test import Client

from db.catalog import CatalogStore
from db.order import OrderStore
from domain.errors import KeyReused, OutOfStock, ProductNotFound, StoreError, TooManyRefusals, Unavailable
from domain.protocols import Sale
from domain.refusals import BURST_S, Allowance, LimitedCheckout
from domain.values import Buy, Product
from tests.books import Books
from tests.steps import begin
from wsgi_apps import order
from wsgi_apps.front_end import FrontEndApp
from wsgi_apps.order import OrderApp
from wsgi_apps.wire import placed_in_batch_json, placed_in_batch_of, sale_of

BURST = 6
PER_S = BURST / BURST_S


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


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


def test_an_allowance_is_a_burst_that_grows_again(clock: Clock) -> None:
    allowance = Allowance(per_s=2.0, clock=clock)
    assert allowance.left() == 2 * BURST_S
    allowance.take(2 * int(BURST_S) + 3)
    assert allowance.left() == 0
    clock.now += 1.0
    assert allowance.left() == 0, "what was taken too much is paid back first"
    clock.now += 1.0
    assert allowance.left() == 1
    clock.now += 10 * BURST_S
    assert allowance.left() == 2 * BURST_S, "but no more than one burst"


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

    def lookup(self, names: Sequence[str], within_s: float | None = None) -> list[Product | ProductNotFound]:
        self.lookups.append(within_s)
        if self.is_away:
            raise Unavailable
        return self._catalog.lookup(names)

    def sell(self, buys: Sequence[Buy], within_s: float | None = None) -> list[Sale]:
        self.sales.append(within_s)
        return self._catalog.sell(buys)


def test_in_a_good_time_nothing_is_looked_up(orders: OrderStore, catalog: CatalogStore, clock: Clock) -> None:
    watched = Watched(catalog)
    checkout = LimitedCheckout(orders, watched, Allowance(PER_S, clock))
    checkout.place_all([Buy("a", "Tux", 1), unknown(1)], within_s=2.0)
    assert (watched.lookups, watched.sales) == ([], [2.0])


def test_looking_and_buying_share_a_deadline(orders: OrderStore, catalog: CatalogStore) -> None:
    watched = Watched(catalog)
    checkout = LimitedCheckout(orders, watched, Allowance(PER_S, clock=lambda: 0.0))
    checkout.place_all([unknown(number) for number in range(BURST)])
    watched.sales.clear()
    assert checkout.place_all([Buy("a", "Tux", 1)], within_s=2.0) == [0]
    assert watched.lookups == [2.0]
    [left_s] = watched.sales
    assert left_s is not None and left_s < 2.0
    with pytest.raises(Unavailable):
        checkout.place_all([Buy("b", "Tux", 1)], within_s=0.0)
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
    assert (response.status_code, response.headers["Retry-After"]) == (429, "1")
    assert response.headers["Idempotency-Key"] == "k"
    assert response.json == {"error": {"code": 429, "message": TooManyRefusals.message}}
    assert client.post(f"{prefix}/Tux/1").json == {"data": {"order_number": "0"}}


def test_a_buy_that_was_put_off_travels_and_is_never_taken_for_a_sale() -> None:
    as_json = placed_in_batch_json(TooManyRefusals())
    assert as_json == {"error": {"code": 429, "message": TooManyRefusals.message}}
    assert placed_in_batch_of(as_json) == TooManyRefusals()
    with pytest.raises(ValueError, match="not a definite answer"):
        sale_of(as_json)
    with pytest.raises(StoreError):
        raise TooManyRefusals


def test_buys_that_begin_while_the_catalog_is_away_count_until_they_end(
    orders: OrderStore, catalog: CatalogStore, clock: Clock
) -> None:
    class Away(CatalogStore):
        def lookup(self, names: Sequence[str], within_s: float | None = None) -> list[Product | ProductNotFound]:
            raise Unavailable

        def sell(self, buys: Sequence[Buy], within_s: float | None = None, **_options: object) -> list[Sale]:
            raise Unavailable

    checkout = LimitedCheckout(orders, Away(Path("nowhere")), Allowance(PER_S, clock))
    for number in range(10 * BURST):
        with pytest.raises(Unavailable):
            checkout.place_all([unknown(number)])
    assert len(orders.intents(1_000)) == BURST, "nobody fills the disk with intents either"


def test_the_workers_of_the_order_tier_share_the_allowance(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """They know nothing of each other, and all of them write into the same log."""
    given: list[float] = []
    monkeypatch.setattr("wsgi_apps.order.Allowance", lambda per_s, *_, **__: given.append(per_s))
    for variable, value in (("REFUSED_PER_S", "12"), ("ORDER_WORKERS", "4"), ("DATA_DIR", str(tmp_path))):
        monkeypatch.setenv(variable, value)
    order.create_app()
    assert given == [3.0]
