"""Fixtures of the tests of a limited checkout: a clock, a catalog that can be away, and a limit of BURST buys."""

from collections.abc import Sequence

import pytest

from db.catalog import CatalogStore
from db.order import OrderStore
from domain.errors import ProductNotFound, Unavailable
from domain.limited_checkout import LimitedCheckout
from domain.pairing import LogMark
from domain.protocols import Catalog, Found, Sale
from domain.refusal_limit import RefusalLimit
from domain.values import Buy
from tests.support.buying import BURST, PER_S, unknown
from tests.support.catalog_proxy import CatalogProxy
from tests.support.clock import Clock


class WatchedCatalog(CatalogProxy):
    """A catalog that can be away, and notes the timeout of each call."""

    def __init__(self, catalog: Catalog) -> None:
        super().__init__(catalog)
        self.lookup_timeouts_s: list[float | None] = []
        self.sale_timeouts_s: list[float | None] = []
        self.is_away = False

    def lookup(self, names: Sequence[str], timeout_s: float | None = None) -> Sequence[Found]:
        self.lookup_timeouts_s.append(timeout_s)
        if self.is_away:
            raise Unavailable
        return super().lookup(names)

    def sell(
        self, buys: Sequence[Buy], timeout_s: float | None = None, *, log: LogMark | None = None
    ) -> Sequence[Sale | Unavailable]:
        self.sale_timeouts_s.append(timeout_s)
        if self.is_away:
            raise Unavailable
        return super().sell(buys)


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
