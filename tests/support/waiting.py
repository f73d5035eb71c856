"""Waits until a condition holds."""

import time
from collections.abc import Callable


def wait_until(
    what: str,
    holds: Callable[[], bool],
    *,
    timeout_s: float = 60.0,
    every_s: float = 0.02,
    details: Callable[[], str] = lambda: "",
) -> None:
    """Polls `holds` until it returns True. Raises AssertionError with `what` and `details` after `timeout_s`.

    The default is longer than a busy machine delays anything that works.
    """
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, f"{what}: not within {timeout_s:g} s. {details()}"
        time.sleep(every_s)
