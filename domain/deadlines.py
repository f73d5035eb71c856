"""The deadline of a call. Each call passes the time that it has left to the next one."""

import time

from domain.errors import Unavailable


class Deadline:
    """The moment `timeout_s` from now, by the monotonic clock. With None it never comes."""

    def __init__(self, timeout_s: float | None) -> None:
        self._at = None if timeout_s is None else time.monotonic() + timeout_s

    def remaining_s(self) -> float | None:
        """Returns the seconds that are left; None without a timeout. Raises Unavailable when none are left."""
        if self._at is None:
            return None
        remaining_s = self._at - time.monotonic()
        if remaining_s <= 0:
            raise Unavailable(retry_after_s=1)
        return remaining_s
