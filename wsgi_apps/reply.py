"""What an endpoint answers: a Reply now, or one Later."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from domain.errors import Unavailable

A = TypeVar("A")

THREAD_FREE_WITHIN_S = 1.0


@dataclass(frozen=True, slots=True)
class Reply:
    """Becomes JSON."""

    body: Mapping[str, Any]
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


def in_thread(endpoint: Callable[..., Reply], threads: Executor) -> Callable[..., Later[Reply]]:
    """The same endpoint, for one that must wait itself: it does so in one of `threads`.

    It raises Unavailable when none of them was free in time, for its own waiting comes on top.
    """

    def begin(*arguments: Any, **values: Any) -> Later[Reply]:
        deadline = time.monotonic() + THREAD_FREE_WITHIN_S

        def answer() -> Reply:
            if time.monotonic() > deadline:
                raise Unavailable
            return endpoint(*arguments, **values)

        return Later(threads.submit(answer), lambda reply: reply)

    return begin
