"""Tells the log when another tier is lost, and when it is found again."""

import logging
import threading
import time
from collections.abc import Callable

# A tier that comes and goes is told of this often at most.
QUIET_S = 10.0

_log = logging.getLogger(__name__)


class Presence:
    """Whether a tier answers, as far as this process knows. One line when it is lost, one when it is found."""

    def __init__(self, name: str, where: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._where = where
        self._clock = clock
        self._lost_at: float | None = None
        self._told = False
        self._quiet_until = clock()
        self._mutex = threading.Lock()

    def lost(self, why: str) -> None:
        """It was asked and did not answer."""
        with self._mutex:
            now = self._clock()
            if self._lost_at is None:
                self._lost_at = now
            if not self._told and now >= self._quiet_until:
                self._told = True
                self._quiet_until = now + QUIET_S
                _log.warning("the %s is lost: %s does not answer: %s", self._name, self._where, why)

    def found(self) -> None:
        """It has answered, whatever it said."""
        if self._lost_at is None:  # as nearly always; no lock for that
            return
        with self._mutex:
            lost_at, told = self._lost_at, self._told
            self._lost_at, self._told = None, False
            if told and lost_at is not None:
                _log.warning("the %s is found again after %.1f s", self._name, self._clock() - lost_at)
