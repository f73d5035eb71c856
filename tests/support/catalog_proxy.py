"""Catalogs that pass each call on to another catalog, for tests in which some calls fail."""

from collections.abc import Sequence

from domain.errors import Unavailable
from domain.pairing import Introduction, LogMark
from domain.protocols import Catalog, Found, Sale
from domain.returns import SaleReturn, TakeBack
from domain.values import Buy


class CatalogProxy:
    """Passes each call on unchanged. Tests derive from it, and override the methods that shall fail."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def lookup(self, names: Sequence[str], timeout_s: float | None = None) -> Sequence[Found]:
        return self._catalog.lookup(names, timeout_s)

    def products(self, *, q: str, after: str, limit: int) -> bytes:
        return self._catalog.products(q=q, after=after, limit=limit)

    def sell(
        self, buys: Sequence[Buy], timeout_s: float | None = None, *, log: LogMark | None = None
    ) -> Sequence[Sale | Unavailable]:
        return self._catalog.sell(buys, timeout_s, log=log)

    def take_back(
        self, returns: Sequence[SaleReturn], timeout_s: float | None = None, *, log: LogMark | None = None
    ) -> Sequence[TakeBack | Unavailable]:
        return self._catalog.take_back(returns, timeout_s, log=log)

    def decrement(self, buy: Buy, timeout_s: float | None = None) -> None:
        self._catalog.decrement(buy, timeout_s)

    def introduce(self, last_order: str | None, timeout_s: float | None = None) -> Introduction:
        return self._catalog.introduce(last_order, timeout_s)


class WatchedCatalog(CatalogProxy):
    """Records the timeout of each call, and raises Unavailable while `is_away`."""

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
