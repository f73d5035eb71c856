"""Calls that do not travel together: what takes the place of wsgi_apps/batcher.py in the unjoined store."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Generic, TypeVar

from domain.errors import Unavailable
from wsgi_apps import front_end, order

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

Q = TypeVar("Q")
A = TypeVar("A")

# As many calls under way as a worker of the store had threads before calls travelled together.
THREADS = 64


class Apart(Generic[Q, A]):
    """Has the interface of `Batcher`, and makes each call by itself, in one of `THREADS` threads."""

    def __init__(
        self, call: Callable[[Sequence[Q], float], Sequence[A]], *, timeout_s: float, **_batching: float
    ) -> None:
        self._call = call
        self._timeout_s = timeout_s
        self._pool = ThreadPoolExecutor(THREADS)

    def ask(self, questions: Sequence[Q]) -> "Future[Sequence[A]]":
        """The answers to come, or Unavailable when there is no thread for them in time."""
        return self._pool.submit(self._answer, questions, time.monotonic() + self._timeout_s)

    def _answer(self, questions: Sequence[Q], deadline: float) -> Sequence[A]:
        remaining_s = deadline - time.monotonic()
        if remaining_s <= 0:
            raise Unavailable
        return self._call(questions, remaining_s)


def create_front_end() -> "WSGIApplication":
    """The front end as gunicorn serves it, unjoined."""
    # By way of vars: the module has the name for itself, and mypy would have it stay so.
    vars(front_end)["Batcher"] = Apart
    return front_end.create_app()


def create_order() -> "WSGIApplication":
    """The order tier as gunicorn serves it, unjoined."""
    vars(order)["Batcher"] = Apart
    return order.create_app()
