"""Decides when another tier is asked again: pauses that grow, a budget, and the tier's own Retry-After."""

import email.utils
import random
import re
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from domain.token_bucket import TokenBucket

_FIRST_PAUSE_S = 0.04
# A call of 6 s asks a tier that gives no answer ten times at most.
_LONGEST_PAUSE_S = 2.5
# Nobody listens: a try costs nobody anything, and a tier that restarts is soon back.
_LONGEST_PAUSE_BEFORE_NOBODY_S = 0.5

# In one call, without a Retry-After. The tier is there and overloaded: more of the same would not help it.
MAX_TIMES_TOLD_LATER = 4

# No tier of this store asks to be left alone for longer; a proxy between them may, and be mistaken.
LONGEST_RETRY_AFTER_S = 600


def backoff_s(retry: int, *, nobody_listens: bool = False) -> float:
    """Seconds to wait before the retry of this number, from 0: exponential back-off.

    A random part keeps the callers of a tier that comes back from coming all at once.
    """
    longest_s = _LONGEST_PAUSE_BEFORE_NOBODY_S if nobody_listens else _LONGEST_PAUSE_S
    return min(_FIRST_PAUSE_S * 2.0 ** min(retry, 30), longest_s) * random.uniform(0.5, 1.0)


class RetryBudget:
    """A token bucket, as in Finagle and gRPC, that keeps the retries at a tier to a small share of the calls to it.

    Each call puts `share` of a token in and each retry takes one out. `floor_per_s` tokens come by themselves each
    second, for a tier with few calls restarts, too. A tier in trouble gets little more than its usual calls, however
    many callers would try again.
    """

    def __init__(
        self,
        *,
        share: float = 0.1,
        floor_per_s: float = 1.0,
        most: float = 12.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._share = share
        self._bucket = TokenBucket(floor_per_s, most, clock)
        self._mutex = threading.Lock()

    def deposit(self) -> None:
        """Counts a call."""
        with self._mutex:
            self._bucket.put(self._share)

    def withdraw(self, timeout_s: float) -> float | None:
        """Takes the token of a retry. Returns the seconds until it comes; None, and takes none, if that is too late."""
        with self._mutex:
            wait_s = self._bucket.wait_s()
            if wait_s > timeout_s:
                return None
            self._bucket.take()
            return wait_s


def parse_retry_after(text: str | None) -> int | None:
    """The seconds that a Retry-After header says, as a number or as a date; None when it says nothing."""
    if text is None:
        return None
    text = text.strip()
    if re.fullmatch(r"[0-9]+", text):
        # Its length first: Python turns no more than some thousand digits into a number.
        return min(int(text[:9]), LONGEST_RETRY_AFTER_S)
    try:
        date = email.utils.parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # the second for a day or a year of many digits
        return None
    remaining_s = (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return max(0, min(int(remaining_s) + 1, LONGEST_RETRY_AFTER_S))
