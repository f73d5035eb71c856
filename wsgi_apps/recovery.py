"""Settles the buys and returns in doubt, which a crash, a lost reply, or a catalog that was away has left."""

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Generic, Protocol, TypeVar

from domain.errors import Unavailable
from domain.isolation import MAX_FAILURES_IN_A_ROW, concerns_all
from domain.limited_checkout import LimitedCheckout
from domain.limits import MAX_BATCH, MAX_RETURNS
from domain.returns import Returns

SWEEP_INTERVAL_S = 1.0
# The age at which a buy in doubt is overdue. The request that began a younger one may still be under way.
OVERDUE_S = 3.0
# The most intents of one read, oldest first.
MAX_INTENTS = 1_000
# The most reads of a sweep. Only while the catalog is away are more buys in doubt, and those can only wait.
MAX_READS = 50

_log = logging.getLogger(__name__)


class _Doubtful(Protocol):
    """A buy or a return."""

    @property
    def key(self) -> str: ...


D = TypeVar("D", bound=_Doubtful)


class _Settler(Protocol[D]):
    """A checkout or the returns: it knows what is in doubt, and settles it."""

    def intents(self, limit: int, skip: int = 0) -> list[D]: ...

    def settle(self, batch: Sequence[D], /) -> None: ...


@dataclass(slots=True)
class _Doubt:
    """The state of a buy or a return in doubt: when it was first seen, and how often it could not be settled."""

    first_seen: float  # by this thread, monotonic clock
    tries: int = 0  # failed attempts to settle it


class Recovery(threading.Thread):
    """A thread that sends the overdue buys and returns again once a second, under their own keys.

    Several may run at once, because a key buys or gives back at most once. The age of a buy counts from the moment at
    which this thread first saw its intent, by the monotonic clock, so a jump of the wall clock changes nothing.
    """

    def __init__(self, checkout: LimitedCheckout, returns: Returns | None = None) -> None:
        super().__init__(name="recovery", daemon=True)
        self._checkout = checkout
        self._sweeps = [_Sweep("buys", checkout, MAX_BATCH).run]
        if returns is not None:
            self._sweeps.append(_Sweep("returns", returns, MAX_RETURNS).run)
        self._ending = threading.Event()

    def run(self) -> None:
        """Sweeps until `stop`. No error ends the thread."""
        while not self._ending.wait(SWEEP_INTERVAL_S):
            try:
                self.sweep(time.monotonic())
            except Unavailable:
                pass  # the catalog or the disk is away: the intents stay for the next sweep
            except Exception:
                _log.exception("recovery failed; it goes on in %s s", SWEEP_INTERVAL_S)

    def stop(self) -> None:
        """Ends the thread after the present sweep."""
        self._ending.set()

    def sweep(self, now: float) -> None:
        """Settles the buys and returns that were first seen OVERDUE_S before `now` (seconds, monotonic).

        Raises the last error, such as Unavailable, when some are still in doubt.
        """
        self._checkout.release_ended()
        last_error: Exception | None = None
        for sweep in self._sweeps:  # a kind that fails does not keep the other in doubt
            try:
                sweep(now)
            except Exception as error:
                # A defect is logged, and so must not hide behind a tier that is away.
                last_error = error if last_error is None or isinstance(last_error, Unavailable) else last_error
        if last_error is not None:
            raise last_error


class _Sweep(Generic[D]):
    """The sweeps for one kind, buys or returns.

    A buy that the catalog cannot answer does not keep others in doubt: failed buys are sent after the others, in
    batches half as large as before, and therefore alone in the end, however they fail. So it is with returns.
    """

    def __init__(self, kind: str, settler: _Settler[D], max_batch_size: int) -> None:
        self._kind = kind
        self._settler = settler
        self._max_batch_size = max_batch_size
        self._doubts: dict[str, _Doubt] = {}  # by their keys

    def run(self, now: float) -> None:
        """Settles what is overdue, see Recovery.sweep."""
        intents = list(self._intents())
        self._doubts = {one.key: self._doubts.get(one.key) or _Doubt(now) for one in intents}
        last_error: Exception | None = None
        settled = failures = 0
        for batch in self._batches(now, intents):
            try:
                self._settler.settle(batch)
                settled += len(batch)
            except Exception as error:
                last_error = error
                failures += 1
                for one in batch:
                    self._doubts[one.key].tries += 1
                if failures > MAX_FAILURES_IN_A_ROW or concerns_all(error):
                    break
        if settled:
            _log.info("settled %d %s in doubt", settled, self._kind)
        if last_error is not None:
            raise last_error

    def _intents(self) -> Iterator[D]:
        """Yields what is in doubt, oldest first."""
        for read in range(MAX_READS):
            intents = self._settler.intents(MAX_INTENTS, skip=read * MAX_INTENTS)
            yield from intents
            if len(intents) < MAX_INTENTS:
                return

    def _batches(self, now: float, intents: Sequence[D]) -> Iterator[Sequence[D]]:
        """Yields what is overdue, the least tried first. All of a batch were tried equally often."""

        def tries(one: D) -> int:
            return self._doubts[one.key].tries

        overdue = [one for one in intents if now - self._doubts[one.key].first_seen >= OVERDUE_S]
        overdue.sort(key=tries)  # a stable sort: the oldest stay first among equals
        # The groups are lists, because a batch that fails changes the tries of its rows before the next group is read.
        for tried, group in [(tried, list(group)) for tried, group in groupby(overdue, key=tries)]:
            size = max(1, self._max_batch_size >> tried)
            yield from (group[start : start + size] for start in range(0, len(group), size))
