"""Fixtures of the tests of the limit to refused buys: a clock, a catalog that can be away, limited checkouts."""

import pytest

from db.sqlite.catalog import CatalogStore
from db.sqlite.order import OrderStore
from domain.errors import ProductNotFound
from domain.limited_checkout import LimitedCheckout
from domain.refusal_limit import RefusalLimit
from tests.support.buying import BURST, PER_S, unknown
from tests.support.catalog_proxy import WatchedCatalog
from tests.support.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limit(clock: Clock) -> RefusalLimit:
    """Room for BURST refused buys, and for one more each 100 s."""
    return RefusalLimit(PER_S, clock)


@pytest.fixture
def watched(catalog: CatalogStore) -> WatchedCatalog:
    """The catalog of `limited`, which can be away and records the timeouts of its calls."""
    return WatchedCatalog(catalog)


@pytest.fixture
def limited(orders: OrderStore, watched: WatchedCatalog, limit: RefusalLimit) -> LimitedCheckout:
    """A checkout that may refuse BURST buys now."""
    return LimitedCheckout(orders, watched, limit)


@pytest.fixture
def exhausted(limited: LimitedCheckout) -> LimitedCheckout:
    """A checkout that has refused as many buys as it may."""
    assert limited.place_all([unknown(number) for number in range(BURST)]) == [ProductNotFound()] * BURST
    return limited
