"""The results of an endpoint: a Reply, or a Deferred that makes one once a future is done."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, Self, TypeVar

from domain.errors import Unavailable

A = TypeVar("A")

JSON = "application/json"

# A call fails that stays longer in the queue of a BoundedPool. The run time of the call is not limited.
MAX_QUEUE_TIME_S = 1.0


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply, whose body becomes JSON. A body of bytes is sent as it is: as JSON, or as what `content_type` says.

    The bytes of a Stream are sent while they are made.
    """

    body: Any
    status: int = 200
    headers: Mapping[str, str] | None = None
    content_type: str = JSON


@dataclass(frozen=True, slots=True)
class Stream:
    """A body of unknown length. An error while it is made ends the connection early, so that the client notices.

    When the client goes away, the server closes `chunks`. It needs a server with a thread for each request.
    """

    chunks: Iterator[bytes]


class Deferred(Generic[A]):
    """A reply that is made from the result of a future. It is also the WSGI response with this reply.

    An endpoint returns it instead of waiting. `App` adds the function that makes the response (`respond_with`), and
    returns the same object to the server. Any WSGI server can serve it, because iterating waits for the future. A
    server that must not wait (server/worker.py) iterates when `future` is done.
    """

    __slots__ = ("_respond", "_to_reply", "future")
    _respond: Callable[[Callable[[], Reply]], Iterable[bytes]]

    def __init__(self, future: "Future[A]", to_reply: Callable[[A], Reply]) -> None:
        self.future = future
        self._to_reply = to_reply

    def wait(self) -> Reply:
        """Waits for the future and returns the reply. Raises the error of the future or of `to_reply`."""
        return self._to_reply(self.future.result())

    def respond_with(self, respond: Callable[[Callable[[], Reply]], Iterable[bytes]]) -> Self:
        """Sets the function that makes the response. It gets `wait` and handles the errors that `wait` raises."""
        self._respond = respond
        return self

    def __iter__(self) -> Iterator[bytes]:
        # `wait` is bound only here: an object that refers to itself stays in memory until the garbage collector runs.
        return iter(self._respond(self.wait))


class BoundedPool:
    """A thread pool with a bounded queue, for calls that block."""

    def __init__(self, threads: int, max_queued: int) -> None:
        self._executor = ThreadPoolExecutor(threads)
        self._slots = threading.BoundedSemaphore(threads + max_queued)

    def submit(self, call: Callable[[], A]) -> "Future[A]":
        """Returns the future of `call`. Raises Unavailable at once when the queue is full."""
        if not self._slots.acquire(blocking=False):
            raise Unavailable
        try:
            future = self._executor.submit(call)
        except BaseException:  # no thread could be started
            self._slots.release()
            raise
        future.add_done_callback(lambda _future: self._slots.release())
        return future


def run_in_pool(endpoint: Callable[..., Reply], pool: BoundedPool) -> Callable[..., Deferred[Reply]]:
    """Returns an endpoint that runs `endpoint`, which may block, in a thread of `pool`.

    It raises Unavailable at once when the queue is full. Its reply is Unavailable when no thread was free within
    MAX_QUEUE_TIME_S.
    """

    def submit(*arguments: Any, **values: Any) -> Deferred[Reply]:
        deadline = time.monotonic() + MAX_QUEUE_TIME_S

        def call() -> Reply:
            if time.monotonic() > deadline:
                raise Unavailable
            return endpoint(*arguments, **values)

        return Deferred(pool.submit(call), lambda reply: reply)

    return submit
