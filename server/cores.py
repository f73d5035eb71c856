"""The core that each worker is kept on: on two, threads that share an interpreter lock get in each other's way."""

import os
from collections.abc import Iterable, Sequence
from typing import Any


def choose_core(server: Any, worker: Any) -> None:
    """For gunicorn's pre_fork: give a new worker the core that the fewest of its neighbours have.

    The master chooses, because it knows who lives. Two workers that start at once would choose the same.
    """
    neighbours = [neighbour.core for neighbour in server.WORKERS.values()]
    worker.core = least_used(usable_cores(), neighbours)


def pin(worker: Any) -> None:
    """For gunicorn's post_fork: keep this worker on its core. Where the system refuses that, it runs on all of them."""
    if worker.core is None:
        return
    try:
        os.sched_setaffinity(0, {worker.core})
    except OSError as error:
        worker.log.info("this worker is not kept on core %d: %s", worker.core, error)


def usable_cores() -> Iterable[int]:
    """The cores that this process may use; none where the system does not tell."""
    try:
        return os.sched_getaffinity(0)
    except (AttributeError, OSError):
        return ()


def least_used(usable: Iterable[int], taken: Sequence[int | None]) -> int | None:
    """The core that stands least often in `taken`, the cores of the workers with the oldest first.

    Of equals it is the one whose last worker is the oldest: when the oldest ends, the cores are still shared evenly.
    """

    def use(core: int) -> tuple[int, int, int]:
        last = max((age for age, other in enumerate(taken) if other == core), default=-1)
        return taken.count(core), last, core

    return min(usable, key=use, default=None)
