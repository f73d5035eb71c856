"""Deadlines: each call hands what is left of its time to the next one."""

import time

from domain.errors import Unavailable


def remaining_time(timeout_s: float | None, begun: float) -> float | None:
    """The seconds that are left of `timeout_s`, which began at `begun` (monotonic clock); None where there is no limit.

    Raises Unavailable when nothing is left.
    """
    if timeout_s is None:
        return None
    remaining_s = begun + timeout_s - time.monotonic()
    if remaining_s <= 0:
        raise Unavailable(retry_after_s=1)
    return remaining_s
