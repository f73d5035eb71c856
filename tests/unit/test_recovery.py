import logging

import pytest

from db.catalog import CatalogStore
from db.order import OrderStore
from domain.checkout import Checkout
from domain.errors import Unavailable
from domain.values import Buy
from tests.steps import begin
from tests.waiting import wait_until
from wsgi_apps import recovery
from wsgi_apps.recovery import OVERDUE_S, Recovery

BUY = Buy("k", "Tux", 1)


def test_a_buy_in_doubt_is_settled_once_it_is_overdue(checkout: Checkout, orders: OrderStore) -> None:
    begin(orders, [BUY])
    sweeper = Recovery(checkout)
    sweeper.sweep(now=100.0)
    sweeper.sweep(now=100.0 + OVERDUE_S - 0.1)
    assert orders.intents(10) == [BUY], "its own request may still be at work"
    sweeper.sweep(now=100.0 + OVERDUE_S)
    assert orders.intents(10) == []
    assert checkout.place(BUY) == 0


def test_a_key_that_comes_back_is_young_again(checkout: Checkout, orders: OrderStore, catalog: CatalogStore) -> None:
    catalog.sell([Buy(BUY.key, "Whale", 1)])  # so its end is KeyReused, which leaves no trace in the log
    sweeper = Recovery(checkout)
    begin(orders, [BUY])
    sweeper.sweep(now=0.0)
    checkout.settle([BUY])
    sweeper.sweep(now=1.0)
    begin(orders, [BUY])
    sweeper.sweep(now=OVERDUE_S)
    assert orders.intents(10) == [BUY]


def test_the_thread_outlives_what_goes_wrong(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    troubles = iter([Unavailable(), ZeroDivisionError(), None])
    swept = []

    class Troubled(Recovery):
        def sweep(self, now: float) -> None:
            trouble = next(troubles)
            swept.append(trouble)
            if trouble is None:
                self.stop()
            else:
                raise trouble

    monkeypatch.setattr(recovery, "EVERY_S", 0.01)
    thread = Troubled(checkout)
    with caplog.at_level(logging.ERROR):
        thread.start()
        thread.join(timeout=60)
    assert not thread.is_alive()
    assert len(swept) == 3
    assert "ZeroDivisionError" in caplog.text


def test_the_thread_settles_by_itself(
    orders: OrderStore, catalog: CatalogStore, checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "EVERY_S", 0.01)
    monkeypatch.setattr(recovery, "OVERDUE_S", 0.05)
    begin(orders, [BUY])
    thread = Recovery(checkout)
    thread.start()
    try:
        wait_until("no buy is in doubt", lambda: not orders.intents(1))
    finally:
        thread.stop()
        thread.join(timeout=60)
    assert catalog.product("Tux").quantity == 79
