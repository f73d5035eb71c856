"""Keeps an order log to the catalog of its own store, also where their files are on two machines.

They meet once, when each proves to the other what it has (db/pairing.py); a log that has met none yet takes the
store's id from its catalog. From then on each call for sales says whose log it is and what it has ordered last, so a
catalog that was replaced meanwhile, or put back to an older state, refuses. Then no buy begins until the right one is
back.
"""

import threading
import time
from collections.abc import Sequence

from db import outages
from db.order import OrderStore
from domain.deadlines import remaining_time
from domain.errors import AnotherStore, Unavailable
from domain.protocols import Found, Placed, Sale
from domain.refusals import Allowance, LimitedCheckout
from domain.values import Buy
from wsgi_apps.clients import HttpCatalog

# Of a try to meet: what is left of a buy's two seconds suffices for the buy itself.
MEETS_WITHIN_S = 0.5
# Between two tries: the shoppers who come meanwhile hear at once that they have to wait.
MEETS_EVERY_S = 1.0

_SUBJECT = "the catalog's identity"
_WAITS = "the catalog is not the one of this order log, try again"


class PairedCatalog:
    """The catalog tier, for the sales of one order log. Any thread may call it."""

    def __init__(self, log: OrderStore, catalog: HttpCatalog) -> None:
        self._log = log
        self._catalog = catalog
        self._has_met = False
        self._is_foreign = False
        self._meets_at = 0.0  # monotonic clock
        self._meeting = threading.Lock()

    def require(self) -> None:
        """Before buys begin. Raises Unavailable when the catalog is known to be another's.

        While the catalog is away buys begin as ever, and are in doubt: each sale is going to say whose it is.
        """
        if self._has_met:
            return
        try:
            self.meet(MEETS_WITHIN_S)
        except Unavailable:
            if self._is_foreign:
                raise

    def meet(self, timeout_s: float | None = None) -> None:
        """Ask the catalog which one it is. Raises Unavailable when it does not answer, or is not the log's own."""
        with self._meeting:
            if self._has_met:
                return
            if time.monotonic() < self._meets_at:
                raise Unavailable(_WAITS if self._is_foreign else None, retry_after_s=1)
            self._meets_at = time.monotonic() + MEETS_EVERY_S
            why = self._log.meet(self._catalog.introduce(self._log.last_order(), timeout_s))
            self._is_foreign = why is not None
            if why is not None:
                outages.log_start(_SUBJECT, f"no buy begins, for the catalog is not the one of this order log: {why}")
                raise Unavailable(_WAITS, retry_after_s=1)
            outages.log_end(_SUBJECT, "the catalog is the one of this order log again")
            self._has_met = True

    def lookup(self, names: Sequence[str], timeout_s: float | None = None) -> Sequence[Found]:
        """See HttpCatalog."""
        return self._catalog.lookup(names, timeout_s)

    def sell(self, buys: Sequence[Buy], timeout_s: float | None = None) -> Sequence[Sale | Unavailable]:
        """See HttpCatalog. Raises Unavailable for another store's catalog as well.

        The intents stay in doubt even then: a lost try before this one may have reached the right catalog.
        """
        mark = self._log.mark()
        if mark is None:
            self.meet(timeout_s)
            mark = self._log.mark()
        try:
            return self._catalog.sell(buys, timeout_s, log=mark)
        except AnotherStore:
            self._has_met, self._is_foreign, self._meets_at = False, True, 0.0
            self.meet(MEETS_WITHIN_S)  # for the log to say why
            raise Unavailable(retry_after_s=1) from None


class PairedCheckout(LimitedCheckout):
    """A checkout at which no buy begins for another store's catalog."""

    def __init__(self, log: OrderStore, catalog: PairedCatalog, allowance: Allowance) -> None:
        super().__init__(log, catalog, allowance)
        self._paired = catalog

    def place_all(self, buys: Sequence[Buy], timeout_s: float | None = None) -> list[Placed]:
        """As LimitedCheckout's."""
        begun = time.monotonic()
        self._paired.require()
        return super().place_all(buys, remaining_time(timeout_s, begun))
