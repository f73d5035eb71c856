"""Fixtures of the tests of a limited checkout: a clock, a catalog that can be away, and a limit of BURST buys."""

import pytest

from db.catalog import CatalogStore
from db.order import OrderStore
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
    return WatchedCatalog(catalog)


@pytest.fixture
def limited(orders: OrderStore, watched: WatchedCatalog, limit: RefusalLimit) -> LimitedCheckout:
    return LimitedCheckout(orders, watched, limit)


@pytest.fixture
def exhausted(limited: LimitedCheckout) -> LimitedCheckout:
    """A checkout that has refused as many buys as it may."""
    assert limited.place_all([unknown(number) for number in range(BURST)]) == [ProductNotFound()] * BURST
    return limited
