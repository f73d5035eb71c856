"""Runs one function in many threads at once, for tests of races."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

R = TypeVar("R")

THREADS = 8


def at_once(work: Callable[[int], R], threads: int = THREADS) -> list[R]:
    """Runs work(0) to work(threads - 1) at the same time. Returns their results, or raises the first error."""
    barrier = threading.Barrier(threads)

    def start_together(number: int) -> R:
        barrier.wait(60)
        return work(number)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(start_together, range(threads)))
