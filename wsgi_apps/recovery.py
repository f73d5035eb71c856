"""Settles the buys that a crash, a lost reply or a sleeping catalog left in doubt."""

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from domain.checkout import Checkout
from domain.errors import Unavailable
from domain.isolation import MAX_FAILURES_IN_A_ROW, concerns_all
from domain.limits import MAX_BATCH
from domain.values import Buy

EVERY_S = 1.0
# A buy that is younger is still in the hands of the request that began it.
OVERDUE_S = 3.0
# Read in one step, oldest first.
MAX_INTENTS = 1_000
# Such steps in a sweep. More than all of them can only be in doubt behind a catalog that is away; they wait.
MAX_STEPS = 50

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Doubt:
    """An intent: when it was first seen, and how often it was sent and stayed in doubt."""

    first_seen: float
    tries: int = 0


class Recovery(threading.Thread):
    """Once a second, sends the overdue buys again under their own keys.

    Several may run at once: the keys make each buy happen once. Age is counted from when this thread first saw
    the intent, by the monotonic clock, so a clock that jumps neither hurries nor stops it.

    A buy that the catalog cannot answer keeps no other in doubt: what failed is sent behind what did not, and in
    company half as large as before, so that it is alone in the end, whatever its failure looks like.
    """

    def __init__(self, checkout: Checkout) -> None:
        super().__init__(name="recovery", daemon=True)
        self._checkout = checkout
        self._doubts: dict[str, _Doubt] = {}
        self._ending = threading.Event()

    def run(self) -> None:
        while not self._ending.wait(EVERY_S):
            try:
                self.sweep(time.monotonic())
            except Unavailable:
                pass  # the catalog or the disk is away: the intents stay for the next sweep
            except Exception:
                _log.exception("recovery failed; it goes on in %s s", EVERY_S)

    def stop(self) -> None:
        """End the thread after the sweep that is under way."""
        self._ending.set()

    def sweep(self, now: float) -> None:
        """Settle what was first seen OVERDUE_S before `now` (seconds, monotonic).

        Raises the last trouble, such as Unavailable, when some are still in doubt.
        """
        self._checkout.release_ended()
        intents = list(self._intents())
        self._doubts = {buy.key: self._doubts.get(buy.key) or _Doubt(now) for buy in intents}
        trouble: Exception | None = None
        settled = failures = 0
        for batch in self._batches(now, intents):
            try:
                self._checkout.settle(batch)
                settled += len(batch)
            except Exception as error:
                trouble = error
                failures += 1
                for buy in batch:
                    self._doubts[buy.key].tries += 1
                if failures > MAX_FAILURES_IN_A_ROW or concerns_all(error):
                    break
        if settled:
            _log.info("settled %d buys in doubt", settled)
        if trouble is not None:
            raise trouble

    def _intents(self) -> Iterator[Buy]:
        """The oldest buys in doubt."""
        for step in range(MAX_STEPS):
            some = self._checkout.intents(MAX_INTENTS, skip=step * MAX_INTENTS)
            yield from some
            if len(some) < MAX_INTENTS:
                return

    def _batches(self, now: float, intents: Sequence[Buy]) -> Iterator[Sequence[Buy]]:
        """The overdue ones: those that failed least often first, each in the company of its like."""
        overdue = [buy for buy in intents if now - self._doubts[buy.key].first_seen >= OVERDUE_S]
        overdue.sort(key=lambda buy: self._doubts[buy.key].tries)  # stable: the oldest of them first
        tries_of = {buy.key: self._doubts[buy.key].tries for buy in overdue}
        for tries, group in groupby(overdue, key=lambda buy: tries_of[buy.key]):
            alike, size = list(group), max(1, MAX_BATCH >> tries)
            yield from (alike[start : start + size] for start in range(0, len(alike), size))
