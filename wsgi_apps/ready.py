"""GET /ready: checks whether a tier can work now. A tier that lives may lack its disk, or a tier behind it."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait

from domain.errors import StoreError, Unavailable
from wsgi_apps.reply import Deferred, Reply

# A result holds for so long, however many ask: the checks must not become a load.
HOLDS_S = 1.0

_log = logging.getLogger(__name__)


class Readiness:
    """Checks the parts that a tier needs, each in a thread, once in HOLDS_S at most, and for `timeout_s` at most.

    A part is a function that returns when the part works, and raises when it does not. A part that hangs is away, and
    is not checked again before its function has returned.
    """

    def __init__(self, parts: Mapping[str, Callable[[], object]], timeout_s: float) -> None:
        self._parts = parts
        self._timeout_s = timeout_s
        self._threads = ThreadPoolExecutor(len(parts) + 1, "ready")  # one thread waits for the others
        self._checks: dict[str, Future[object]] = {}
        self._result: Future[Mapping[str, str]] | None = None
        self._holds_until = 0.0
        self._mutex = threading.Lock()

    def reply(self) -> Deferred[Mapping[str, str]]:
        """Answers with 200, or raises Unavailable, which names the parts that are away."""
        return Deferred(self.check(), _reply)

    def check(self) -> "Future[Mapping[str, str]]":
        """Returns the future of the parts that are away, each with the reason. Callers meanwhile share one future."""
        with self._mutex:
            if self._result is None or (self._result.done() and time.monotonic() >= self._holds_until):
                self._result = self._threads.submit(self._check)
            return self._result

    def _check(self) -> Mapping[str, str]:
        for name, part in self._parts.items():
            if name not in self._checks:
                self._checks[name] = self._threads.submit(part)
        wait(self._checks.values(), self._timeout_s)
        reasons = {name: self._why_away(name) for name in self._parts}
        self._holds_until = time.monotonic() + HOLDS_S
        return {name: reason for name, reason in reasons.items() if reason is not None}

    def _why_away(self, name: str) -> str | None:
        if not self._checks[name].done():
            return "does not answer"
        error = self._checks.pop(name).exception()
        if error is None:
            return None
        if isinstance(error, StoreError):
            return error.message
        _log.error("%s cannot be checked", name, exc_info=error)
        return "fails"


def _reply(away: Mapping[str, str]) -> Reply:
    if away:
        why = "; ".join(f"{name}: {reason}" for name, reason in away.items())
        raise Unavailable(f"not ready: {why}", retry_after_s=1)
    return Reply({"data": {"status": "ready"}})
