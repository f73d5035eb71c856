"""The front end and the order tier without batches, for the system store-unbatched: a call for each question."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Generic, TypeVar

from conf.wiring import create_front_end_app, create_order_app
from domain.errors import Unavailable

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

Q = TypeVar("Q")
A = TypeVar("A")

# The threads, and so the calls in flight, of a worker of the store before it had batches.
THREADS = 64


class Unbatched(Generic[Q, A]):
    """Has the interface of `Batcher`, and makes each call by itself in one of `THREADS` threads."""

    def __init__(
        self,
        call: Callable[[Sequence[Q], float], Sequence[A]],
        *,
        max_batch_size: int,
        timeout_s: float,
        linger_s: float = 0.0,
        max_in_flight: int = 1,
    ) -> None:
        self._call = call
        self._timeout_s = timeout_s
        self._pool = ThreadPoolExecutor(THREADS)

    def ask(self, questions: Sequence[Q]) -> "Future[Sequence[A]]":
        """Returns the future of the answers, which fails with Unavailable when no thread is free in time."""
        return self._pool.submit(self._answer, questions, time.monotonic() + self._timeout_s)

    def _answer(self, questions: Sequence[Q], deadline: float) -> Sequence[A]:
        remaining_s = deadline - time.monotonic()
        if remaining_s <= 0:
            raise Unavailable
        return self._call(questions, remaining_s)


def create_front_end() -> "WSGIApplication":
    """Returns the front end as gunicorn serves it, without batches."""
    return create_front_end_app(batcher=Unbatched)


def create_order() -> "WSGIApplication":
    """Returns the order tier as gunicorn serves it, without batches."""
    return create_order_app(batcher=Unbatched)
