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
    """Polls `holds` until it is true. Raises AssertionError with `what` and `details` after `timeout_s`.

    The default of a minute is longer than a busy machine delays anything.
    """
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, f"{what}: not so within {timeout_s:g} s. {details()}"
        time.sleep(every_s)
