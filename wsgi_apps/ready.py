"""Whether a tier can do its work now: it may live and yet not be ready, while a tier behind it or its disk is away."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait

from domain.errors import StoreError, Unavailable
from wsgi_apps.reply import Deferred, Reply

# An answer holds for so long, however many ask: the question must not become a load.
HOLDS_S = 1.0

_log = logging.getLogger(__name__)


class Readiness:
    """Tries the parts that a tier needs, each in a thread, once in HOLDS_S at most, and for `timeout_s` at most.

    A part is a function that returns when it works and raises when it does not. One that hangs is away, and is not
    tried again before it has come back.
    """

    def __init__(self, parts: Mapping[str, Callable[[], object]], timeout_s: float) -> None:
        self._parts = parts
        self._timeout_s = timeout_s
        self._threads = ThreadPoolExecutor(len(parts) + 1, "ready")  # one of them waits for the others
        self._tries: dict[str, Future[object]] = {}
        self._looked: Future[Mapping[str, str]] | None = None
        self._holds_until = 0.0
        self._mutex = threading.Lock()

    def reply(self) -> Deferred[Mapping[str, str]]:
        """200, or Unavailable, which names the parts that are away."""
        return Deferred(self.look(), _reply)

    def look(self) -> "Future[Mapping[str, str]]":
        """The parts that are away, each with the reason, to come. Whoever asks meanwhile gets the same answer."""
        with self._mutex:
            if self._looked is None or (self._looked.done() and time.monotonic() >= self._holds_until):
                self._looked = self._threads.submit(self._look)
            return self._looked

    def _look(self) -> Mapping[str, str]:
        for name, part in self._parts.items():
            if name not in self._tries:
                self._tries[name] = self._threads.submit(part)
        wait(self._tries.values(), self._timeout_s)
        troubles = {name: self._trouble(name) for name in self._parts}
        self._holds_until = time.monotonic() + HOLDS_S
        return {name: trouble for name, trouble in troubles.items() if trouble is not None}

    def _trouble(self, name: str) -> str | None:
        if not self._tries[name].done():
            return "does not answer"
        error = self._tries.pop(name).exception()
        if error is None:
            return None
        if isinstance(error, StoreError):
            return error.message
        _log.error("%s cannot be tried", name, exc_info=error)
        return "fails"


def _reply(away: Mapping[str, str]) -> Reply:
    if away:
        why = "; ".join(f"{name}: {reason}" for name, reason in away.items())
        raise Unavailable(f"not ready: {why}", retry_after_s=1)
    return Reply({"data": {"status": "ready"}})
