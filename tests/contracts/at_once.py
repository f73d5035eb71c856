"""Runs one function in many threads at once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

R = TypeVar("R")

THREADS = 8


def at_once(work: Callable[[int], R]) -> list[R]:
    """Runs work(0) to work(THREADS - 1), all begun at one moment. Returns their results, or raises the first error."""
    barrier = Barrier(THREADS)

    def one(number: int) -> R:
        barrier.wait(60)
        return work(number)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(one, range(THREADS)))
