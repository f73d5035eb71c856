"""The recovery, which settles buys and returns in doubt: sweeps, errors, and what always fails."""

import logging
from collections.abc import Sequence
from contextlib import suppress

import pytest

from db.sqlite.catalog import CatalogStore
from db.sqlite.order import OrderStore
from domain.checkout import Checkout
from domain.errors import Unavailable
from domain.pairing import LogMark
from domain.protocols import Catalog, Sale
from domain.returns import Return, Returns, SaleReturn, TakeBack
from domain.values import Buy
from tests.support.buying import never_limited
from tests.support.catalog_proxy import CatalogProxy
from tests.support.waiting import wait_until
from wsgi_apps import recovery
from wsgi_apps.recovery import OVERDUE_S, Recovery

BUY = Buy("k", "Tux", 1)


def test_a_buy_in_doubt_is_settled_once_it_is_overdue(
    checkout: Checkout, orders: OrderStore, catalog: CatalogStore
) -> None:
    orders.begin([BUY])
    sweeper = Recovery(never_limited(orders, catalog))
    sweeper.sweep(now=100.0)
    sweeper.sweep(now=100.0 + OVERDUE_S - 0.1)
    assert orders.intents(10) == [BUY], "its own request may still be under way"
    sweeper.sweep(now=100.0 + OVERDUE_S)
    assert orders.intents(10) == []
    assert checkout.place(BUY) == 0


def test_a_key_that_was_settled_and_begins_again_is_not_overdue(
    checkout: Checkout, orders: OrderStore, catalog: CatalogStore
) -> None:
    catalog.sell([Buy(BUY.key, "Whale", 1)])  # the buy ends as KeyReused, which leaves no trace in the log
    sweeper = Recovery(never_limited(orders, catalog))
    orders.begin([BUY])
    sweeper.sweep(now=0.0)
    checkout.settle([BUY])
    sweeper.sweep(now=1.0)
    orders.begin([BUY])
    sweeper.sweep(now=OVERDUE_S)
    assert orders.intents(10) == [BUY]


def test_the_thread_survives_the_errors_of_a_sweep(
    orders: OrderStore, catalog: CatalogStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    errors = iter([Unavailable(), ZeroDivisionError()])

    class FailingRecovery(Recovery):
        def sweep(self, now: float) -> None:
            for error in errors:
                raise error
            self.stop()

    monkeypatch.setattr(recovery, "SWEEP_INTERVAL_S", 0.01)
    thread = FailingRecovery(never_limited(orders, catalog))
    with caplog.at_level(logging.ERROR):
        thread.start()
        thread.join(timeout=60)
    assert not thread.is_alive()
    assert next(errors, None) is None, "a sweep follows each error"
    assert "ZeroDivisionError" in caplog.text


def test_the_thread_settles_buys_in_doubt(
    orders: OrderStore, catalog: CatalogStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "SWEEP_INTERVAL_S", 0.01)
    monkeypatch.setattr(recovery, "OVERDUE_S", 0.05)
    orders.begin([BUY])
    thread = Recovery(never_limited(orders, catalog))
    thread.start()
    try:
        wait_until("no buy is in doubt", lambda: not orders.intents(1))
    finally:
        thread.stop()
        thread.join(timeout=60)
    assert catalog.product("Tux").quantity == 79


class PoisonedCatalog(CatalogProxy):
    """A catalog that fails every call with a buy of `product` in it."""

    def __init__(self, catalog: Catalog, product: str, retry_after_s: int | None) -> None:
        super().__init__(catalog)
        self._product = product
        self._retry_after_s = retry_after_s
        self.calls = 0

    def sell(
        self, buys: Sequence[Buy], timeout_s: float | None = None, *, log: LogMark | None = None
    ) -> Sequence[Sale | Unavailable]:
        self.calls += 1
        if any(buy.product == self._product for buy in buys):
            raise Unavailable(retry_after_s=self._retry_after_s)
        return super().sell(buys)


def sweep_each_second(sweeper: Recovery, seconds: range) -> None:
    """Sweeps at each of these seconds. A sweep may fail."""
    for now in seconds:
        with suppress(Unavailable):
            sweeper.sweep(float(now))


@pytest.mark.parametrize("retry_after_s", [None, 1], ids=["no Retry-After", "a Retry-After"])
@pytest.mark.parametrize("at", [0, 60, 149])
def test_a_buy_that_always_fails_keeps_no_other_in_doubt(
    orders: OrderStore, catalog: CatalogStore, at: int, retry_after_s: int | None
) -> None:
    """Its error may look like that of a catalog that is away."""
    buys = [Buy(f"k{number}", "Nix", 1) for number in range(150)]
    buys[at] = poison = Buy("poison", "Poison", 1)
    orders.begin(buys)
    sweep_each_second(Recovery(never_limited(orders, PoisonedCatalog(catalog, "Poison", retry_after_s))), range(30))
    assert orders.intents(1_000) == [poison]


@pytest.mark.parametrize("retry_after_s", [None, 1], ids=["no Retry-After", "a Retry-After"])
def test_more_failing_buys_than_a_sweep_reads_keep_no_newer_one_in_doubt(
    orders: OrderStore, catalog: CatalogStore, monkeypatch: pytest.MonkeyPatch, retry_after_s: int | None
) -> None:
    monkeypatch.setattr(recovery, "MAX_INTENTS", 10)
    poisons = [Buy(f"poison-{number}", "Poison", 1) for number in range(25)]
    orders.begin(poisons)
    sweeper = Recovery(never_limited(orders, PoisonedCatalog(catalog, "Poison", retry_after_s)))
    sweep_each_second(sweeper, range(10))
    orders.begin([BUY])
    sweep_each_second(sweeper, range(10, 16))
    assert orders.intents(1_000) == poisons


def test_buys_that_always_fail_cost_few_calls(orders: OrderStore, catalog: CatalogStore) -> None:
    orders.begin([Buy(f"poison-{number}", "Poison", 1) for number in range(300)])
    poisoned = PoisonedCatalog(catalog, "Poison", None)
    sweeper = Recovery(never_limited(orders, poisoned))
    sweep_each_second(sweeper, range(60))
    calls = poisoned.calls
    sweep_each_second(sweeper, range(60, 70))
    assert poisoned.calls - calls <= 10 * 11, "a few each second, in turn"


def test_a_sweep_that_settles_only_some_buys_raises(
    orders: OrderStore, catalog: CatalogStore, caplog: pytest.LogCaptureFixture
) -> None:
    orders.begin([Buy("poison", "Poison", 1), BUY])
    sweeper = Recovery(never_limited(orders, PoisonedCatalog(catalog, "Poison", None)))
    sweeper.sweep(0.0)
    with pytest.raises(Unavailable), caplog.at_level(logging.INFO):
        sweeper.sweep(OVERDUE_S)
    assert orders.intents(10) == [Buy("poison", "Poison", 1)]


@pytest.fixture
def ordered(checkout: Checkout) -> None:
    """Order 0: 60 Tux."""
    assert checkout.place(Buy("ordered", "Tux", 60)) == 0


def test_a_return_in_doubt_is_settled_once_it_is_overdue(
    ordered: None, orders: OrderStore, catalog: CatalogStore, returns: Returns, caplog: pytest.LogCaptureFixture
) -> None:
    orders.begin_returns([Return("r", 0, 2)])
    sweeper = Recovery(never_limited(orders, catalog), returns)
    sweeper.sweep(now=100.0)
    sweeper.sweep(now=100.0 + OVERDUE_S - 0.1)
    assert len(orders.return_intents(10)) == 1, "its own request may still be under way"
    with caplog.at_level(logging.INFO):
        sweeper.sweep(now=100.0 + OVERDUE_S)
    assert orders.return_intents(10) == []
    assert catalog.product("Tux").quantity == 22
    assert "settled 1 returns in doubt" in caplog.text


def test_buys_that_fail_keep_no_return_in_doubt(
    ordered: None, orders: OrderStore, catalog: CatalogStore, returns: Returns
) -> None:
    orders.begin([Buy("poison", "Poison", 1)])
    orders.begin_returns([Return("r", 0, 2)])
    sweeper = Recovery(never_limited(orders, PoisonedCatalog(catalog, "Poison", 1)), returns)
    sweep_each_second(sweeper, range(5))
    assert orders.return_intents(10) == []
    with pytest.raises(Unavailable):
        sweeper.sweep(9.0)


class PoisonedReturns(CatalogProxy):
    """A catalog that fails every call with the return `poison` in it."""

    def __init__(self, catalog: Catalog, error: Exception) -> None:
        super().__init__(catalog)
        self._error = error

    def take_back(
        self, returns: Sequence[SaleReturn], timeout_s: float | None = None, *, log: LogMark | None = None
    ) -> Sequence[TakeBack | Unavailable]:
        if any(one.key == "poison" for one in returns):
            raise self._error
        return super().take_back(returns)


@pytest.mark.parametrize("error", [Unavailable(), Unavailable(retry_after_s=1), ZeroDivisionError()])
def test_a_return_that_always_fails_keeps_no_other_and_no_buy_in_doubt(
    ordered: None, orders: OrderStore, catalog: CatalogStore, error: Exception
) -> None:
    keys = [f"r{number}" for number in range(30)]
    orders.begin_returns([Return(key, 0, 1) for key in ["poison", *keys]])
    orders.begin([BUY])
    sweeper = Recovery(never_limited(orders, catalog), Returns(orders, PoisonedReturns(catalog, error)))
    for now in range(20):
        with suppress(type(error)):
            sweeper.sweep(float(now))
    assert [one.key for one in orders.return_intents(100)] == ["poison"]
    assert orders.intents(10) == []


def test_a_defect_is_raised_although_another_kind_is_only_unavailable(
    ordered: None, orders: OrderStore, catalog: CatalogStore
) -> None:
    orders.begin([Buy("buy", "Poison", 1)])
    orders.begin_returns([Return("poison", 0, 1)])
    returns = Returns(orders, PoisonedReturns(catalog, ZeroDivisionError()))
    sweeper = Recovery(never_limited(orders, PoisonedCatalog(catalog, "Poison", None)), returns)
    sweeper.sweep(0.0)
    with pytest.raises(ZeroDivisionError):
        sweeper.sweep(OVERDUE_S)
