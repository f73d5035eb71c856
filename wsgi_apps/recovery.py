"""Settles the buys that a crash, a lost reply or a sleeping catalog left in doubt."""

import logging
import threading
import time

from domain.checkout import Checkout
from domain.errors import Unavailable

EVERY_S = 1.0
# A buy that is younger is still in the hands of the request that began it.
OVERDUE_S = 3.0
# Looked at in one sweep, oldest first. More wait for the next sweep.
MAX_INTENTS = 1_000

_log = logging.getLogger(__name__)


class Recovery(threading.Thread):
    """Once a second, sends the overdue buys again under their own keys.

    Several may run at once: the keys make each buy happen once. Age is counted from when this thread first saw
    the intent, by the monotonic clock, so a clock that jumps neither hurries nor stops it.
    """

    def __init__(self, checkout: Checkout) -> None:
        super().__init__(name="recovery", daemon=True)
        self._checkout = checkout
        self._first_seen: dict[str, float] = {}
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
        """Settle what was first seen OVERDUE_S before `now` (seconds, monotonic). Raises Unavailable."""
        intents = self._checkout.intents(MAX_INTENTS)
        self._first_seen = {buy.key: self._first_seen.get(buy.key, now) for buy in intents}
        overdue = [buy for buy in intents if now - self._first_seen[buy.key] >= OVERDUE_S]
        if overdue:
            self._checkout.settle(overdue)
            _log.info("settled %d buys in doubt", len(overdue))
