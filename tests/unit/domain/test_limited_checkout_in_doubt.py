"""The limit to refused buys, with buys in doubt: each may be refused, so it holds a token until it ends."""

from collections.abc import Sequence

import pytest

from db.sqlite.catalog import CatalogStore
from db.sqlite.order import OrderStore
from domain.errors import KeyReused, ProductNotFound, Unavailable
from domain.limited_checkout import LimitedCheckout
from domain.protocols import Placed, Sale
from domain.refusal_limit import BURST_S, RefusalLimit
from domain.values import Buy
from tests.support.buying import BURST, PER_S, unknown
from tests.support.catalog_proxy import WatchedCatalog
from tests.support.clock import Clock
from wsgi_apps.recovery import OVERDUE_S, Recovery


@pytest.fixture
def away(watched: WatchedCatalog) -> WatchedCatalog:
    """The catalog of `limited`, which is away until a test brings it back."""
    watched.is_away = True
    return watched


def place_in_vain(checkout: LimitedCheckout, *buys: Buy) -> None:
    """Places buys that get no answer, and stay in doubt."""
    with pytest.raises(Unavailable):
        checkout.place_all(buys)


def test_no_more_buys_than_the_limit_begin_while_the_catalog_is_away(
    limited: LimitedCheckout, away: WatchedCatalog, orders: OrderStore
) -> None:
    for number in range(10 * BURST):
        place_in_vain(limited, unknown(number))
    assert len(orders.intents(1_000)) == BURST, "intents cannot fill the disk either"


def test_a_key_in_doubt_counts_once_however_often_it_is_sent(
    limited: LimitedCheckout, limit: RefusalLimit, away: WatchedCatalog, clock: Clock
) -> None:
    for _ in range(200):
        place_in_vain(limited, Buy("a", "Tux", 1), Buy("b", "Nix", 1))
    assert limit.room() == BURST - 2
    clock.now += 10 * BURST_S
    assert limit.room() == BURST - 2, "it holds its token until it ends"


def test_a_buy_in_doubt_that_is_sold_frees_its_token(
    limited: LimitedCheckout, limit: RefusalLimit, away: WatchedCatalog
) -> None:
    buys = [Buy(f"k{number}", "Tux", 1) for number in range(BURST)]
    place_in_vain(limited, *buys)
    assert limit.room() == 0
    away.is_away = False
    assert limited.place_all(buys) == list(range(BURST))
    assert limit.room() == BURST


def test_a_buy_in_doubt_that_is_refused_spends_one_token(
    limited: LimitedCheckout, limit: RefusalLimit, away: WatchedCatalog
) -> None:
    for _ in range(3):
        place_in_vain(limited, unknown(1), unknown(2))
    away.is_away = False
    for _ in range(3):
        assert limited.place_all([unknown(1), unknown(2)]) == [ProductNotFound()] * 2
    assert limit.room() == BURST - 2


def test_a_reused_key_spends_no_token(
    limited: LimitedCheckout, limit: RefusalLimit, away: WatchedCatalog, catalog: CatalogStore
) -> None:
    catalog.decrement(Buy("k", "Whale", 1))
    place_in_vain(limited, Buy("k", "Tux", 1))
    away.is_away = False
    assert limited.place_all([Buy("k", "Tux", 1)]) == [KeyReused()]
    assert limit.room() == BURST


def test_a_refusal_that_could_not_be_logged_spends_one_token(
    limited: LimitedCheckout, limit: RefusalLimit, orders: OrderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = orders.finish

    def disk_is_full(sales: Sequence[tuple[Buy, Sale]]) -> list[Placed]:
        raise Unavailable

    monkeypatch.setattr(orders, "finish", disk_is_full)
    for _ in range(3):
        place_in_vain(limited, unknown(1))
    assert limit.room() == BURST - 1
    monkeypatch.setattr(orders, "finish", finish)
    assert limited.place_all([unknown(1)]) == [ProductNotFound()]
    assert limit.room() == BURST - 1


def test_the_recovery_ends_the_buys_that_requests_began(
    limited: LimitedCheckout, limit: RefusalLimit, away: WatchedCatalog, orders: OrderStore
) -> None:
    place_in_vain(limited, Buy("sold", "Tux", 1), unknown(1))
    assert limit.room() == BURST - 2
    away.is_away = False
    recovery = Recovery(LimitedCheckout(orders, away, limit))
    recovery.sweep(0.0)
    recovery.sweep(OVERDUE_S)
    assert orders.intents(1) == []
    assert limit.room() == BURST - 1


def test_a_buy_that_another_worker_has_ended_frees_its_token(
    limited: LimitedCheckout, limit: RefusalLimit, away: WatchedCatalog, orders: OrderStore, clock: Clock
) -> None:
    """The refusal spends a token of the other worker's limit."""
    place_in_vain(limited, Buy("sold", "Tux", 1), unknown(1), Buy("in doubt", "Tux", 1))
    away.is_away = False
    others = RefusalLimit(PER_S, clock)
    LimitedCheckout(orders, away, others).place_all([Buy("sold", "Tux", 1), unknown(1)])
    assert (limit.room(), others.room()) == (BURST - 3, BURST - 1)
    Recovery(limited).sweep(0.0)
    assert limit.room() == BURST - 1, "one is still in doubt"


def test_a_buy_in_doubt_of_the_last_run_spends_a_token_when_it_is_refused(
    limited: LimitedCheckout, limit: RefusalLimit, orders: OrderStore
) -> None:
    orders.begin([Buy("sold", "Tux", 1), unknown(1), unknown(2)])
    assert limit.room() == BURST
    limited.settle(orders.intents(10))
    assert limit.room() == BURST - 2
