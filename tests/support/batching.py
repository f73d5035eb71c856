"""Batchers for tests, and a call that answers with its questions."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager

from wsgi_apps.batcher import Batcher

PATIENCE_S = 60.0


class Echo:
    """A call that answers each question with itself, or raises it if it is an exception.

    `batches` are the questions of each call. While `go` is not set, a call does not return.
    """

    def __init__(self) -> None:
        self.batches: list[list[object]] = []
        self.begun = threading.Semaphore(0)
        self.go = threading.Event()
        self.go.set()

    def __call__(self, questions: Sequence[object], _timeout_s: float) -> Sequence[object]:
        self.batches.append(list(questions))
        self.begun.release()
        assert self.go.wait(timeout=PATIENCE_S)
        for question in questions:
            if isinstance(question, Exception):
                raise question
        return list(questions)


def batcher_of(
    call: Callable[[Sequence[object], float], Sequence[object]],
    max_batch_size: int = 100,
    linger_s: float = 0.0,
    timeout_s: float = PATIENCE_S,
    max_in_flight: int = 1,
) -> Batcher[object, object]:
    """Returns a batcher that does not linger, and whose callers wait long, unless a test asks for other limits."""
    return Batcher(
        call, max_batch_size=max_batch_size, timeout_s=timeout_s, linger_s=linger_s, max_in_flight=max_in_flight
    )


@contextmanager
def call_under_way(echo: Echo, batcher: Batcher[object, object]) -> Iterator[None]:
    """Keeps the call for question 0 from returning during the block."""
    echo.go.clear()
    first = batcher.ask([0])
    assert echo.begun.acquire(timeout=PATIENCE_S)
    try:
        yield
    finally:
        echo.go.set()
    assert first.result(PATIENCE_S) == [0]


def results(futures: Sequence["Future[Sequence[object]]"]) -> list[Sequence[object]]:
    """Waits for all answers."""
    return [future.result(PATIENCE_S) for future in futures]


def is_empty(batcher: Batcher[object, object]) -> bool:
    """Returns whether no question waits."""
    return (batcher._queued, len(batcher._queue)) == (0, 0)
