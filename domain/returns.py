"""Gives pieces of an order back, exactly once, in the three steps of a buy (domain/checkout.py).

The intent is in the order log before the catalog is asked, so a return that the catalog took is never forgotten. The
catalog has at most one entry for a key, so asking again changes nothing. The return is logged only on a definite
answer; without one it stays in doubt, and its pieces are not given back under another key meanwhile.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from domain.deadlines import Deadline
from domain.errors import Invalid, KeyReused, OrderNotFound, StoreError, Unavailable
from domain.isolation import answer_each, settle_each
from domain.limits import MAX_RETURNS
from domain.pairing import LogMark


@dataclass(frozen=True, slots=True)
class Return:
    """A request to give pieces of an order back. However often it is sent under its idempotency key, it is one return.

    `quantity` None means all pieces that are left. `note` is the owner's reason.
    """

    key: str
    number: int  # of the order
    quantity: int | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class SaleReturn:
    """A return as the catalog sees it: pieces of the sale under the key `sale` go back into the stock."""

    key: str
    sale: str
    product: str
    quantity: int
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Returned:
    """A logged return. `returned` counts all pieces of the order that were given back up to it; `time` is in UTC."""

    number: int  # of the order
    quantity: int
    returned: int
    time: str


@dataclass(frozen=True, slots=True)
class TakenBack:
    """The pieces are back in the stock of the catalog."""


# The definite outcome of a return at the catalog. Invalid: the books disagree, so that the catalog has no such pieces
# to take back. Nothing of a refused return is stored. A lost answer is Unavailable, which is no outcome.
TakeBack = TakenBack | Invalid | KeyReused
# How a return ended. Unavailable is not an end.
ReturnOutcome = Returned | Invalid | OrderNotFound | KeyReused | Unavailable


class ReturnCatalog(Protocol):
    """The catalog, for returns."""

    def take_back(
        self, returns: Sequence[SaleReturn], timeout_s: float | None = None, *, log: LogMark | None = None
    ) -> Sequence[TakeBack | Unavailable]:
        """Puts the pieces of each return back into the stock, once for its key. Returns the outcome of each, in order.

        Raises AnotherStore, and takes nothing back, when the order log `log` belongs to another store.
        """


class ReturnLog(Protocol):
    """The append-only log of returns, and the intents of returns in doubt. Each method is one transaction."""

    def begin_returns(self, returns: Sequence[Return]) -> Sequence[SaleReturn | ReturnOutcome]:
        """Writes the intent of each return. Returns what the catalog must take back, or how the return has ended.

        The outcome is Invalid for a return of more pieces than are left, and OrderNotFound without an order.
        """

    def finish_returns(self, taken: Sequence[tuple[SaleReturn, TakeBack]]) -> Sequence[ReturnOutcome]:
        """Logs how each return ended, once for its key, and deletes its intent. Returns what the log says of each."""

    def return_intents(self, limit: int, skip: int = 0) -> list[SaleReturn]:
        """Returns the oldest `limit` returns in doubt behind the first `skip`."""


class OwnerReturns(Protocol):
    """The order tier, for an owner who gives orders back."""

    def give_back(self, asked: Return, timeout_s: float | None = None) -> Returned:
        """Gives pieces back, once for the key. Raises Invalid, OrderNotFound, KeyReused, Unavailable."""


class Returns:
    """Gives orders back in an order log and a catalog, and settles the returns that a crash left in doubt."""

    def __init__(self, log: ReturnLog, catalog: ReturnCatalog) -> None:
        self._log = log
        self._catalog = catalog

    def give_back(self, asked: Return, timeout_s: float | None = None) -> Returned:
        """Gives pieces back, once for the key.

        Raises Invalid for more pieces than are left, OrderNotFound, KeyReused, or Unavailable, which leaves the return
        in doubt. The catalog has `timeout_s` to answer.
        """
        [outcome] = self.give_back_all([asked], timeout_s)
        if isinstance(outcome, StoreError):
            raise outcome
        return outcome

    def give_back_all(self, returns: Sequence[Return], timeout_s: float | None = None) -> list[ReturnOutcome]:
        """Gives at most MAX_RETURNS orders back. Returns how each return ended, in their order.

        Raises Unavailable when the catalog answers none of them.
        """
        deadline = Deadline(timeout_s)
        begun = self._log.begin_returns(returns)
        open_returns = [one for one in begun if isinstance(one, SaleReturn)]
        taken = answer_each(self._catalog.take_back, open_returns, MAX_RETURNS, deadline.remaining_s())
        ended = iter(self._finish(open_returns, taken))
        return [next(ended) if isinstance(one, SaleReturn) else one for one in begun]

    def intents(self, limit: int, skip: int = 0) -> list[SaleReturn]:
        """Returns the oldest `limit` returns in doubt behind the first `skip`."""
        return self._log.return_intents(limit, skip)

    def settle(self, returns: Sequence[SaleReturn]) -> None:
        """Takes back and logs returns in doubt. One that cannot be answered does not keep the others in doubt.

        Raises the last error, such as Unavailable, when some are still in doubt; the others are settled.
        """
        settle_each(self._settle, returns, MAX_RETURNS)

    def _settle(self, batch: Sequence[SaleReturn]) -> Sequence[ReturnOutcome]:
        return self._finish(batch, self._catalog.take_back(batch))

    def _finish(self, returns: Sequence[SaleReturn], taken: Sequence[TakeBack | Unavailable]) -> list[ReturnOutcome]:
        """Logs the returns with a definite outcome. The others stay in doubt, and are Unavailable in the result."""
        definite = [(one, end) for one, end in zip(returns, taken, strict=True) if not isinstance(end, Unavailable)]
        finished = iter(self._log.finish_returns(definite) if definite else [])
        return [end if isinstance(end, Unavailable) else next(finished) for end in taken]
