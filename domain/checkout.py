"""The buy, exactly once: intent, keyed decrement, finish. docs/architecture.md walks through its crashes.

The order of the three steps is the promise. The intent is on disk before the catalog is asked, so a buy that the
catalog took is never forgotten; the catalog keeps its answer under the key, so asking again changes nothing; and the
log is written only on a definite answer, so a timeout never becomes a refusal.
"""

from collections.abc import Sequence

from domain.errors import StoreError
from domain.protocols import OrderLog, Placed, Receipt, Sales, Step
from domain.values import Buy, Order

# What one call to the catalog may carry. So many of the longest buys fit the 64 KiB that a tier accepts as a body.
MAX_BATCH = 112


class Checkout:
    """Places buys in an order log and a catalog, and settles those that a crash left in doubt."""

    def __init__(self, log: OrderLog, catalog: Sales) -> None:
        self._log = log
        self._catalog = catalog

    def place(self, buy: Buy) -> int:
        """The number of the order. Raises Refused, KeyReused, or Unavailable: then the intent stays and is settled."""
        [placed] = self.place_all([buy])
        if isinstance(placed, StoreError):
            raise placed
        return placed

    def place_all(self, buys: Sequence[Buy], within_s: float | None = None) -> list[Placed]:
        """The same for at most MAX_BATCH buys at once: the number of each order, or the no in its place.

        The catalog has `within_s` to answer.
        """
        receipts = list(self._log.write([(buy, None) for buy in buys]))
        begun = [at for at, receipt in enumerate(receipts) if receipt is None]
        if begun:
            sales = self._catalog.sell([buys[at] for at in begun], within_s=within_s)
            finished = self._finish([(buys[at], sale) for at, sale in zip(begun, sales, strict=True)])
            for at, receipt in zip(begun, finished, strict=True):
                receipts[at] = receipt
        return [_placed(receipt) for receipt in receipts]

    def order(self, number: int, key: str | None = None) -> Order:
        """The order of this number, and, if one is given, of this key. Raises OrderNotFound."""
        return self._log.order(number, key)

    def intents(self, limit: int) -> list[Buy]:
        """The oldest buys in doubt."""
        return self._log.intents(limit)

    def settle(self, buys: Sequence[Buy]) -> None:
        """Bring buys in doubt to their end. Raises Unavailable; what was settled before stays settled."""
        for start in range(0, len(buys), MAX_BATCH):
            batch = buys[start : start + MAX_BATCH]
            sales = self._catalog.sell(batch)
            self._finish(list(zip(batch, sales, strict=True)))

    def _finish(self, sales: Sequence[Step]) -> Sequence[Receipt | None]:
        """Write down how each buy ended."""
        return self._log.write(sales)


def _placed(receipt: Receipt | None) -> Placed:
    assert receipt is not None, "a finished buy has a receipt"
    return receipt.number if isinstance(receipt, Order) else receipt
