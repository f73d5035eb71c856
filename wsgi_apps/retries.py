"""Decides when a call to another tier is retried: exponential backoff, a retry budget, and Retry-After."""

import email.utils
import random
import re
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from domain.token_bucket import TokenBucket

_FIRST_PAUSE_S = 0.04
# With this limit, a call of 6 s makes at most ten tries at a tier that does not answer.
_MAX_PAUSE_S = 2.5
# Shorter, because a refused connection costs next to nothing, and a tier that restarts is back soon.
_MAX_PAUSE_WHEN_REFUSED_S = 0.5

# A call fails at this many replies 502, 503 or 504 without a Retry-After. More retries would add to the load of a tier
# that is overloaded.
MAX_UNAVAILABLE_REPLIES = 4

# A longer Retry-After is cut to this. No tier of this store sends a longer one, but a proxy between them may.
LONGEST_RETRY_AFTER_S = 600


def backoff_s(retry: int, *, is_refused: bool = False) -> float:
    """Returns the seconds to wait before a retry: exponential backoff with jitter. The first retry has number 0.

    The jitter, a random part, spreads the callers of a tier that is back. `is_refused` says that no process listens.
    """
    max_pause_s = _MAX_PAUSE_WHEN_REFUSED_S if is_refused else _MAX_PAUSE_S
    # A larger exponent changes nothing, and one above 1,023 overflows.
    return min(_FIRST_PAUSE_S * 2.0 ** min(retry, 30), max_pause_s) * random.uniform(0.5, 1.0)


class RetryBudget:
    """Limits the retries at a tier to a small share of the calls to it: a token bucket, as in Finagle and gRPC.

    Each call adds `share` of a token, and each retry takes one token. Besides, `floor_per_s` tokens come each second,
    so that a tier with few calls gets retries while it restarts. An overloaded tier gets little more than its usual
    calls, however many callers would retry.
    """

    def __init__(
        self,
        *,
        share: float = 0.1,
        floor_per_s: float = 1.0,
        capacity: float = 12.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._share = share
        self._bucket = TokenBucket(floor_per_s, capacity, clock)
        self._mutex = threading.Lock()

    def deposit(self) -> None:
        """Adds the share of one call."""
        with self._mutex:
            self._bucket.put(self._share)

    def withdraw(self, timeout_s: float) -> float | None:
        """Takes a token for a retry, and returns the seconds until there is one.

        Returns None, and takes none, when the token would come after `timeout_s`.
        """
        with self._mutex:
            wait_s = self._bucket.wait_s()
            if wait_s > timeout_s:
                return None
            self._bucket.take()
            return wait_s


def parse_retry_after(text: str | None) -> int | None:
    """Returns the seconds that a Retry-After header asks for, by a number or a date; None when it has neither."""
    if text is None:
        return None
    text = text.strip()
    if re.fullmatch(r"[0-9]+", text):
        # Cut before it is parsed: int() accepts some thousand digits at most.
        return min(int(text[:9]), LONGEST_RETRY_AFTER_S)
    try:
        date = email.utils.parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # OverflowError: a day or a year of many digits
        return None
    remaining_s = (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return max(0, min(int(remaining_s) + 1, LONGEST_RETRY_AFTER_S))
