"""Deadlines: each call hands what is left of its time to the next one."""

import time

from domain.errors import Unavailable


def left_of(within_s: float | None, begun: float) -> float | None:
    """The seconds that are left of `within_s`, which began at `begun` (monotonic clock); None where there is no limit.

    Raises Unavailable when nothing is left.
    """
    if within_s is None:
        return None
    left_s = begun + within_s - time.monotonic()
    if left_s <= 0:
        raise Unavailable(retry_after_s=1)
    return left_s
