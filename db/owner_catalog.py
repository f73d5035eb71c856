"""The catalog as the owner sees it, on every engine: the stock, the ledger and the history of a product.

The reads run beside a selling store. No index serves them alone, because each sale would have to keep it: a page of the
stock reads all products, and the ledger of a product is looked for backwards.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from domain.errors import ProductNotFound
from domain.owner import MAX_HISTORY, HistoryEntry, LedgerEntry, StockedProduct
from domain.values import fold

_STOCKED_PRODUCT = "SELECT name, price_cents, quantity, retired FROM products WHERE name = :name"
_LEDGER = """
    SELECT entry, delta, balance, reason, key, price_cents, time, note FROM stock_ledger
    WHERE product = :name AND entry < :before ORDER BY entry DESC LIMIT :limit"""
_HISTORY = """
    SELECT entry, what, price_cents, key, time FROM product_history
    WHERE product = :name ORDER BY entry DESC LIMIT :limit"""

# Comes before every stock, also before one that was made negative by hand.
_BEFORE_ALL = (-(2**63), "")
# Above every entry.
_NEWEST = 2**63 - 1


class OwnerCatalogReads(ABC):
    """Reads the catalog for the owner: see domain.owner.OwnerCatalog."""

    # A page of products by their stock: name, price_cents, quantity and retired.
    stock_sql: ClassVar[str]

    @abstractmethod
    def _fetch_all(self, sql: str, values: Mapping[str, Any]) -> list[Any]:
        """Runs one statement that only reads."""

    def stock(
        self, *, q: str = "", retired: bool = False, after: tuple[int, str] | None = None, limit: int
    ) -> Sequence[StockedProduct]:
        """Returns a page of products by their stock, see OwnerCatalog.stock."""
        quantity, name = after or _BEFORE_ALL
        page = {"q": fold(q), "retired": retired, "quantity": quantity, "name": name, "limit": limit}
        return [_stocked_product(*row) for row in self._fetch_all(self.stock_sql, page)]

    def stocked_product(self, name: str) -> StockedProduct:
        """Returns a product, also a retired one. Raises ProductNotFound."""
        rows = self._fetch_all(_STOCKED_PRODUCT, {"name": name})
        if not rows:
            raise ProductNotFound
        return _stocked_product(*rows[0])

    def ledger(self, name: str, *, before: int | None = None, limit: int) -> Sequence[LedgerEntry]:
        """Returns a page of the product's ledger, the newest entry first, see OwnerCatalog.ledger."""
        page = {"name": name, "before": _NEWEST if before is None else before, "limit": limit}
        return [LedgerEntry(*row) for row in self._fetch_all(_LEDGER, page)]

    def history(self, name: str) -> Sequence[HistoryEntry]:
        """Returns the newest entries of the product's history, the newest first, see OwnerCatalog.history."""
        return [HistoryEntry(*row) for row in self._fetch_all(_HISTORY, {"name": name, "limit": MAX_HISTORY})]


def _stocked_product(name: str, price_cents: int, quantity: int, retired: int) -> StockedProduct:
    return StockedProduct(name, price_cents, quantity, bool(retired))
