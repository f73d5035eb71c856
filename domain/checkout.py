"""The checkout: buys exactly once in three steps. It writes the intent, sells under the key, and logs the outcome.

The promises depend on this order. The intent is on disk before the catalog is asked, so a buy that the catalog took is
never forgotten. The catalog keeps its answer under the key, so asking again changes nothing. The log is written only on
a definite answer, so a timeout never becomes a refusal. docs/architecture.md says how each crash is repaired.
"""

from collections.abc import Callable, Sequence

from domain.deadlines import Deadline
from domain.errors import StoreError, Unavailable
from domain.isolation import answer_each, settle_each
from domain.limits import MAX_BATCH
from domain.protocols import Catalog, OrderLog, Placed, Sale
from domain.values import Buy, KnownBuy, Order


class Checkout:
    """Places buys in an order log and a catalog, and settles those that a crash left in doubt.

    `on_finished` is called with the buys that have just been logged, each with its sale.
    """

    def __init__(
        self,
        log: OrderLog,
        catalog: Catalog,
        on_finished: Callable[[Sequence[tuple[Buy, Sale]]], object] = lambda _sales: None,
    ) -> None:
        self._log = log
        self._catalog = catalog
        self._on_finished = on_finished

    def place(self, buy: Buy) -> int:
        """Returns the number of the order. Raises Refused, KeyReused, or Unavailable, which leaves the buy in doubt."""
        [placed] = self.place_all([buy])
        if isinstance(placed, StoreError):
            raise placed
        return placed

    def place_all(self, buys: Sequence[Buy], timeout_s: float | None = None) -> list[Placed]:
        """Places at most MAX_BATCH buys. Returns the number of each order, or the error in its place.

        The catalog has `timeout_s` to answer. Raises Unavailable when it answers none of them.
        """
        deadline = Deadline(timeout_s)
        return self.complete(buys, self.begin(buys), deadline)

    def begin(self, buys: Sequence[Buy]) -> list[Placed | None]:
        """Writes the intent of each buy. Returns None for it, or how the buy has ended if the log knows its key."""
        return list(self._log.begin(buys))

    def complete(self, buys: Sequence[Buy], begun: Sequence[Placed | None], deadline: Deadline) -> list[Placed]:
        """Sells and logs each buy for which `begin` returned None. Returns how each buy ended.

        `begun` is the result of `begin` for the same buys.
        """
        open_buys = [buy for buy, outcome in zip(buys, begun, strict=True) if outcome is None]
        if not open_buys:
            return [outcome for outcome in begun if outcome is not None]
        sales = answer_each(self._catalog.sell, open_buys, MAX_BATCH, deadline.remaining_s())
        ended = iter(self._finish(open_buys, sales))
        return [next(ended) if outcome is None else outcome for outcome in begun]

    def order(self, number: int, key: str | None = None) -> Order:
        """Returns the order of this number and, if one is given, of this key. Raises OrderNotFound."""
        return self._log.order(number, key)

    def find(self, keys: Sequence[str], timeout_s: float | None = None) -> Sequence[KnownBuy | None]:
        """Returns the buy of each key, None for an unknown key. The log answers at once, whatever the timeout."""
        return self._log.find(keys)

    def intents(self, limit: int, skip: int = 0) -> list[Buy]:
        """Returns the oldest `limit` buys in doubt behind the first `skip`."""
        return self._log.intents(limit, skip)

    def settle(self, buys: Sequence[Buy]) -> None:
        """Sells and logs buys in doubt. A buy that the catalog cannot answer does not keep the others in doubt.

        Raises the last error, such as Unavailable, when some are still in doubt; the others are settled.
        """
        settle_each(self._settle, buys, MAX_BATCH)

    def _settle(self, batch: Sequence[Buy]) -> Sequence[Sale | Unavailable]:
        sales = self._catalog.sell(batch)
        self._finish(batch, sales)
        return sales

    def _finish(self, buys: Sequence[Buy], sales: Sequence[Sale | Unavailable]) -> list[Placed]:
        """Logs the buys with a definite sale. The others stay in doubt, and the result has Unavailable for them."""
        definite = [(buy, sale) for buy, sale in zip(buys, sales, strict=True) if not isinstance(sale, Unavailable)]
        finished = iter(self._log.finish(definite))
        self._on_finished(definite)
        return [Unavailable() if isinstance(sale, Unavailable) else next(finished) for sale in sales]
