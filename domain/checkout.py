"""The buy, exactly once: intent, keyed decrement, finish. docs/architecture.md walks through its crashes.

The order of the three steps is the promise. The intent is on disk before the catalog is asked, so a buy that the
catalog took is never forgotten; the catalog keeps its answer under the key, so asking again changes nothing; and the
log is written only on a definite answer, so a timeout never becomes a refusal.
"""

import time
from collections.abc import Sequence

from domain.deadlines import remaining_time
from domain.errors import StoreError, Unavailable
from domain.isolation import Failed, answer_each, isolated
from domain.limits import MAX_BATCH
from domain.protocols import OrderLog, Placed, Receipt, Sales, Step
from domain.values import Buy, Order


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

    def place_all(self, buys: Sequence[Buy], timeout_s: float | None = None) -> list[Placed]:
        """The same for at most MAX_BATCH buys at once: the number of each order, or the no in its place.

        The catalog has `timeout_s` to answer. Raises Unavailable when it answers none of them.
        """
        begins_at = time.monotonic()
        receipts = self._begin(buys, timeout_s)
        begun = [at for at, receipt in enumerate(receipts) if receipt is None]
        if begun:
            timeout_s = remaining_time(timeout_s, begins_at)
            sales = answer_each(self._catalog.sell, [buys[at] for at in begun], MAX_BATCH, timeout_s)
            ended = [(at, sale) for at, sale in zip(begun, sales, strict=True) if not isinstance(sale, Unavailable)]
            finished = self._finish([(buys[at], sale) for at, sale in ended])
            for (at, _), receipt in zip(ended, finished, strict=True):
                receipts[at] = receipt
        return [_placed(receipt) for receipt in receipts]

    def order(self, number: int, key: str | None = None) -> Order:
        """The order of this number, and, if one is given, of this key. Raises OrderNotFound."""
        return self._log.order(number, key)

    def intents(self, limit: int, skip: int = 0) -> list[Buy]:
        """The oldest buys in doubt, behind the first `skip`."""
        return self._log.intents(limit, skip)

    def settle(self, buys: Sequence[Buy]) -> None:
        """Bring buys in doubt to their end. One that cannot be brought there keeps no other from it.

        Raises the last trouble, such as Unavailable, when some are still in doubt; the others are settled.
        """
        trouble: Exception | None = None
        for _buy, outcome in isolated(self._settle, buys, MAX_BATCH):
            if isinstance(outcome, Failed):
                trouble = outcome.error
            elif outcome is not None:
                trouble = outcome
        if trouble is not None:
            raise trouble

    def release_ended(self) -> None:
        """Give back what is held for buys that have ended elsewhere. This checkout holds nothing."""

    def _settle(self, batch: Sequence[Buy]) -> list[Unavailable | None]:
        """None for each that is settled."""
        sales = self._catalog.sell(batch)
        self._finish([(buy, sale) for buy, sale in zip(batch, sales, strict=True) if not isinstance(sale, Unavailable)])
        return [sale if isinstance(sale, Unavailable) else None for sale in sales]

    def _begin(self, buys: Sequence[Buy], timeout_s: float | None) -> list[Receipt | Unavailable | None]:
        """None for each buy whose intent is on disk: it ends in `_finish`, here or elsewhere. Else what it has got."""
        return list(self._log.write([(buy, None) for buy in buys]))

    def _finish(self, sales: Sequence[Step]) -> Sequence[Receipt | None]:
        """Write down how each buy ended."""
        return self._log.write(sales)


def _placed(receipt: Receipt | Unavailable | None) -> Placed:
    if receipt is None:
        return Unavailable()
    return receipt.number if isinstance(receipt, Order) else receipt
