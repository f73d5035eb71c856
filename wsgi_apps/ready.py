"""GET /ready: checks whether a tier can work now. A tier that is alive may lack its disk, or a tier behind it."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait

from domain.errors import StoreError, Unavailable
from wsgi_apps.reply import Deferred, Reply

# A result is kept for this long, so that the checks are no load, however many clients ask.
RESULT_TTL_S = 1.0

_log = logging.getLogger(__name__)


class Readiness:
    """Checks the parts that a tier needs, each in its own thread, at most once in RESULT_TTL_S.

    A part is a function that returns when the part works, and raises when it does not. A part that has not returned
    after `timeout_s` counts as away, and is not checked again before it returns.
    """

    def __init__(self, parts: Mapping[str, Callable[[], object]], timeout_s: float) -> None:
        self._parts = parts
        self._timeout_s = timeout_s
        self._pool = ThreadPoolExecutor(len(parts) + 1, "ready")  # one thread waits for the others
        self._checks: dict[str, Future[object]] = {}  # those under way, by the names of the parts
        self._result: Future[Mapping[str, str]] | None = None
        self._expires_at = 0.0  # of the result, monotonic clock
        self._mutex = threading.Lock()

    def reply(self) -> Deferred[Mapping[str, str]]:
        """Returns the reply: 200 or, when parts are away, an Unavailable that names them."""
        return Deferred(self.check(), _reply)

    def check(self) -> "Future[Mapping[str, str]]":
        """Returns the future of the parts that are away, each with the reason. Callers share one future for a check."""
        with self._mutex:
            if self._result is None or (self._result.done() and time.monotonic() >= self._expires_at):
                self._result = self._pool.submit(self._check)
            return self._result

    def _check(self) -> Mapping[str, str]:
        """Checks all parts at the same time. Returns those that are away, each with the reason."""
        for name, part in self._parts.items():
            if name not in self._checks:
                self._checks[name] = self._pool.submit(part)
        wait(self._checks.values(), self._timeout_s)
        reasons = {name: self._why_away(name) for name in self._parts}
        self._expires_at = time.monotonic() + RESULT_TTL_S
        return {name: reason for name, reason in reasons.items() if reason is not None}

    def _why_away(self, name: str) -> str | None:
        """Returns why a part is away, None if it works."""
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
