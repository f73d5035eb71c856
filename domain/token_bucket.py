"""A token bucket, which limits how often something may happen, with bursts."""

import time
from collections.abc import Callable


class TokenBucket:
    """Tokens that come at `rate_per_s` until there are `capacity`. It starts full.

    It has no lock: threads that share a bucket hold one of their own.
    """

    def __init__(self, rate_per_s: float, capacity: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._capacity = capacity
        self._rate_per_s = rate_per_s
        self._clock = clock
        self._tokens = capacity
        self._filled_at = clock()

    def tokens(self) -> float:
        """Returns the tokens that are there now; below 0 while there is a debt."""
        now = self._clock()
        self._tokens = min(self._capacity, self._tokens + (now - self._filled_at) * self._rate_per_s)
        self._filled_at = now
        return self._tokens

    def put(self, tokens: float) -> None:
        """Adds tokens to those that come by themselves. Those above the capacity are lost."""
        self._tokens = min(self._capacity, self._tokens + tokens)

    def take(self, tokens: float = 1.0) -> None:
        """Takes tokens. Those that are missing become a debt of at most `capacity`, which later tokens pay."""
        self._tokens = max(-self._capacity, self.tokens() - tokens)

    def try_take(self) -> bool:
        """Takes one token if there is one. Returns whether there was."""
        has_token = self.tokens() >= 1.0
        if has_token:
            self._tokens -= 1.0
        return has_token

    def wait_s(self, tokens: float = 1.0) -> float:
        """Returns the seconds until this many tokens are there, if none is taken meanwhile."""
        return max(0.0, tokens - self.tokens()) / self._rate_per_s
