"""Makes one call at a time: whoever asks while it runs gets its result."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from domain.errors import Unavailable

R = TypeVar("R")


class SingleFlight(Generic[R]):
    """Runs a call, which may take minutes, in a thread of its own that does not delay the end of the process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: Future[R] | None = None

    def ask(self, call: Callable[[], R]) -> "Future[R]":
        """Returns the future of the running call, or of `call` when none runs.

        Raises Unavailable when the system gives no thread.
        """
        with self._lock:
            if self._running is None or self._running.done():
                future: Future[R] = Future()
                future.set_running_or_notify_cancel()  # from now on nobody can cancel it for the others
                try:
                    threading.Thread(target=_run, args=(call, future), name="single flight", daemon=True).start()
                except RuntimeError as error:
                    raise Unavailable(retry_after_s=1) from error
                self._running = future
            return self._running


def _run(call: Callable[[], R], future: "Future[R]") -> None:
    try:
        result = call()
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)
