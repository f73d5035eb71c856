"""The answers of an endpoint: a Reply now, or one Later."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from domain.errors import Unavailable

A = TypeVar("A")

THREAD_FREE_WITHIN_S = 1.0


@dataclass(frozen=True, slots=True)
class Reply:
    """Becomes JSON. A body of bytes is JSON already, in UTF-8."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Later(Generic[A]):
    """Instead of waiting: an answer that is on its way, and the reply that it will make."""

    coming: "Future[A]"
    reply: Callable[[A], Reply]

    def wait(self) -> Reply:
        """The reply. Raises what the answer or the reply raises."""
        return self.reply(self.coming.result())


class Awaited:
    """A WSGI response that is still to come.

    Any WSGI server can serve it, for iterating waits. One that need not keep a thread waiting (server/worker.py)
    iterates once `coming` is done.
    """

    def __init__(self, coming: "Future[Any]", response: Callable[[], Iterable[bytes]]) -> None:
        self.coming = coming
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._response())


class BoundedPool:
    """Threads for calls that must wait themselves, and a bounded line before them."""

    def __init__(self, threads: int, max_waiting: int) -> None:
        self._executor = ThreadPoolExecutor(threads)
        self._places = threading.BoundedSemaphore(threads + max_waiting)

    def submit(self, call: Callable[[], A]) -> "Future[A]":
        """The result or the error of `call`, to come. Raises Unavailable at once when the line is full."""
        if not self._places.acquire(blocking=False):
            raise Unavailable
        try:
            future = self._executor.submit(call)
        except BaseException:  # no thread could be started
            self._places.release()
            raise
        future.add_done_callback(lambda _future: self._places.release())
        return future


def in_thread(endpoint: Callable[..., Reply], pool: BoundedPool) -> Callable[..., Later[Reply]]:
    """The same endpoint, for one that must wait itself: it does so in a thread of `pool`.

    It raises Unavailable at once when the pool's line is full, and also when no thread was free in time, for the
    endpoint's own waiting comes on top.
    """

    def begin(*arguments: Any, **values: Any) -> Later[Reply]:
        deadline = time.monotonic() + THREAD_FREE_WITHIN_S

        def answer() -> Reply:
            if time.monotonic() > deadline:
                raise Unavailable
            return endpoint(*arguments, **values)

        return Later(pool.submit(answer), lambda reply: reply)

    return begin
