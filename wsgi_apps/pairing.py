"""Lets an order log buy only from the catalog of its own store, even if their files are on two machines.

A worker pairs the two once: it compares their store ids, and checks that each has the newest entries of the other
(db/sqlite/pairing.py). A log without a store id adopts the catalog's. From then on each call for sales names the log's
store and its newest order, so a catalog that was replaced meanwhile, or put back to an older state, refuses the call.
Then no buy begins until the right catalog is back.
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from db import outages
from domain.deadlines import Deadline
from domain.errors import AnotherStore, Unavailable
from domain.pairing import Introduction, LogMark
from domain.protocols import Catalog, Found, Orders, Placed, Sale
from domain.returns import OwnerReturns, Return, Returned, SaleReturn, TakeBack
from domain.values import Buy, KnownBuy, Order

A = TypeVar("A")

# The timeout of one try. A buy has two seconds in all, and the rest of them suffices for the buy itself.
PAIRING_TIMEOUT_S = 0.5
# The pause between two tries. Buys that come meanwhile get a 503 at once.
PAIRING_INTERVAL_S = 1.0

_SUBJECT = "the catalog's identity"  # of the lines that db/outages.py logs
_FOREIGN_CATALOG = "the catalog is not the one of this order log, try again"


class PairingLog(Protocol):
    """An order log that recognizes its catalog."""

    def mark(self) -> LogMark | None:
        """Returns what the log sends with each call to its catalog; None while it belongs to no store yet."""

    def last_order(self) -> str | None:
        """Returns the key of the newest order, by which the catalog recognizes the log."""

    def pair(self, catalog: Introduction) -> str | None:
        """Returns why the catalog that introduced itself is not of this log's store; None when it is."""


class PairedCatalog:
    """The catalog of one order log. It sells only if both belong to one store. Any thread may call it."""

    def __init__(self, log: PairingLog, catalog: Catalog) -> None:
        self._log = log
        self._catalog = catalog
        self._is_paired = False
        self._is_foreign = False
        self._next_try_at = 0.0  # monotonic clock
        self._pairing = threading.Lock()

    def require_own_store(self) -> None:
        """Raises Unavailable when the catalog is known to be another store's. Call it before buys begin.

        While the catalog is away, buys begin as usual and are in doubt. Each sale checks the store again.
        """
        if self._is_paired:
            return
        try:
            self.pair(PAIRING_TIMEOUT_S)
        except Unavailable:
            if self._is_foreign:
                raise

    def pair(self, timeout_s: float | None = None) -> None:
        """Asks the catalog for its store. Raises Unavailable when it does not answer, or belongs to another store."""
        with self._pairing:
            if self._is_paired:
                return
            if time.monotonic() < self._next_try_at:
                raise Unavailable(_FOREIGN_CATALOG if self._is_foreign else None, retry_after_s=1)
            self._next_try_at = time.monotonic() + PAIRING_INTERVAL_S
            why = self._log.pair(self._catalog.introduce(self._log.last_order(), timeout_s))
            self._is_foreign = why is not None
            if why is not None:
                outages.log_start(_SUBJECT, f"no buy begins, for the catalog is not the one of this order log: {why}")
                raise Unavailable(_FOREIGN_CATALOG, retry_after_s=1)
            outages.log_end(_SUBJECT, "the catalog is the one of this order log again")
            self._is_paired = True

    def sell(
        self, buys: Sequence[Buy], timeout_s: float | None = None, *, log: LogMark | None = None
    ) -> Sequence[Sale | Unavailable]:
        """Sells for this order log, see Catalog.sell. Raises Unavailable, not AnotherStore, for a foreign catalog.

        The buys stay in doubt even then, because an earlier try without an answer may have reached the right catalog.
        """
        return self._call_own_store(lambda mark: self._catalog.sell(buys, timeout_s, log=mark), timeout_s, log)

    def take_back(
        self, returns: Sequence[SaleReturn], timeout_s: float | None = None, *, log: LogMark | None = None
    ) -> Sequence[TakeBack | Unavailable]:
        """Takes back for this order log, see ReturnCatalog.take_back. Raises Unavailable for a foreign catalog."""
        return self._call_own_store(lambda mark: self._catalog.take_back(returns, timeout_s, log=mark), timeout_s, log)

    def _call_own_store(
        self, call: Callable[[LogMark | None], Sequence[A]], timeout_s: float | None, log: LogMark | None
    ) -> Sequence[A]:
        """Returns the catalog's answer to `call`, which names the log. Raises Unavailable for a foreign catalog."""
        log = log or self._log.mark()
        if log is None:
            self.pair(timeout_s)
            log = self._log.mark()
        try:
            return call(log)
        except AnotherStore:
            self._is_paired, self._is_foreign, self._next_try_at = False, True, 0.0
            self.pair(PAIRING_TIMEOUT_S)  # raises and logs the reason, unless the right catalog is back
            raise Unavailable(retry_after_s=1) from None

    def lookup(self, names: Sequence[str], timeout_s: float | None = None) -> Sequence[Found]:
        """See Catalog.lookup."""
        return self._catalog.lookup(names, timeout_s)

    def products(self, *, q: str, after: str, limit: int) -> bytes:
        """See Catalog.products."""
        return self._catalog.products(q=q, after=after, limit=limit)

    def decrement(self, buy: Buy, timeout_s: float | None = None) -> None:
        """See Catalog.decrement."""
        self._catalog.decrement(buy, timeout_s)

    def introduce(self, last_order: str | None, timeout_s: float | None = None) -> Introduction:
        """See Catalog.introduce."""
        return self._catalog.introduce(last_order, timeout_s)


class PairedCheckout:
    """A checkout that begins no buy while the catalog is another store's."""

    def __init__(self, orders: Orders, catalog: PairedCatalog) -> None:
        self._orders = orders
        self._catalog = catalog

    def place_all(self, buys: Sequence[Buy], timeout_s: float | None = None) -> Sequence[Placed]:
        """Places buys, see Orders.place_all."""
        deadline = Deadline(timeout_s)
        self._catalog.require_own_store()
        return self._orders.place_all(buys, deadline.remaining_s())

    def order(self, number: int, key: str | None = None) -> Order:
        """Returns the order of this number, see Orders.order."""
        return self._orders.order(number, key)

    def find(self, keys: Sequence[str], timeout_s: float | None = None) -> Sequence[KnownBuy | None]:
        """Returns the buy of each key, see Orders.find."""
        return self._orders.find(keys, timeout_s)


class PairedReturns:
    """Returns of which none begins while the catalog is another store's."""

    def __init__(self, returns: OwnerReturns, catalog: PairedCatalog) -> None:
        self._returns = returns
        self._catalog = catalog

    def give_back(self, asked: Return, timeout_s: float | None = None) -> Returned:
        """Gives pieces back, see OwnerReturns.give_back."""
        deadline = Deadline(timeout_s)
        self._catalog.require_own_store()
        return self._returns.give_back(asked, deadline.remaining_s())
