"""Waiting for what comes by itself."""

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
    """Return once it holds. Raises AssertionError with `what`, and `details`, when it does not within `timeout_s`.

    A machine with much else to do is slow, but not for a minute.
    """
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, f"{what}: not so within {timeout_s:g} s. {details()}"
        time.sleep(every_s)
