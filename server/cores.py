"""Pins each worker to one CPU core.

The threads of one worker share an interpreter lock, so on two cores they only slow each other down.
"""

import os
from collections.abc import Iterable, Sequence
from typing import Any


def choose_core(server: Any, worker: Any) -> None:
    """The pre_fork hook of gunicorn: gives a new worker the core that the fewest workers have.

    The master process chooses, because it knows the live workers. Two workers that choose at the same time could choose
    the same core.
    """
    taken = [other.core for other in server.WORKERS.values()]
    worker.core = least_used(usable_cores(), taken)


def pin(worker: Any) -> None:
    """The post_fork hook of gunicorn: pins this worker to its core. Where the system refuses, it runs on all cores."""
    if worker.core is None:
        return
    try:
        os.sched_setaffinity(0, {worker.core})
    except OSError as error:
        worker.log.info("this worker is not kept on core %d: %s", worker.core, error)


def usable_cores() -> Iterable[int]:
    """Returns the cores that this process may use; none where the system does not say."""
    try:
        return os.sched_getaffinity(0)
    except (AttributeError, OSError):
        return ()


def least_used(usable: Iterable[int], taken: Sequence[int | None]) -> int | None:
    """Returns the usable core that occurs least often in `taken`, the cores of the live workers from oldest to newest.

    Among equal cores it returns the one whose newest worker is the oldest. gunicorn ends the oldest worker first, and
    the workers then still have the cores in equal shares.
    """

    def rank(core: int) -> tuple[int, int, int]:
        newest = max((position for position, other in enumerate(taken) if other == core), default=-1)
        return taken.count(core), newest, core

    return min(usable, key=rank, default=None)
