"""Limits how many buys are refused per second, because each refusal is stored in both databases for ever.

Without the limit, a client could fill the disk: it buys a product that does not exist, again and again under new keys.
The limit counts refusals and not the requests of an address, because all shoppers behind a proxy have one address.
"""

import math
import random
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence

from domain.errors import Refused
from domain.protocols import Sale
from domain.token_bucket import TokenBucket
from domain.values import Buy

# The bucket holds the tokens of this many seconds, for a burst: the shoppers who come too late for a sold-out product.
BURST_S = 600.0
# The longest Retry-After of a throttled buy.
MAX_WAIT_S = 600.0
# The most keys in each of the three tables below: held, queued and spent. Three bursts at the default rate, 6 MB.
MAX_KEYS = 20_000


class RefusalLimit:
    """A token bucket with a token for each buy that may still be refused, and a queue for throttled buys.

    A buy that has begun holds one token until it ends, because it may have to be refused. Then the token is spent if
    the buy was refused, and free again if it was sold. Each throttled key has a place in the queue: the time at which
    there is a token for it. After a restart no buy holds a token: a buy in doubt of the last run takes one when it is
    refused.
    """

    def __init__(self, per_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._clock = clock
        self._bucket = TokenBucket(per_s, max(1.0, per_s * BURST_S), clock)
        self._held: OrderedDict[str, None] = OrderedDict()  # keys of buys that have begun
        self._queue: OrderedDict[str, float] = OrderedDict()  # throttled keys, each with the time of its token
        self._queue_end = clock()
        self._spent: OrderedDict[str, None] = OrderedDict()  # refused keys; two batches may finish the same key
        self._mutex = threading.Lock()

    def room(self) -> int:
        """Returns how many buys may be refused now: the tokens that no buy holds."""
        with self._mutex:
            return max(0, int(self._bucket.tokens() - len(self._held)))

    def hold(self, keys: Iterable[str]) -> None:
        """Holds a token for each of these keys. A key never holds two."""
        with self._mutex:
            for key in keys:
                self._held[key] = None
            while len(self._held) > MAX_KEYS:
                self._held.popitem(last=False)
                self._bucket.take()  # a forgotten key cannot give its token back

    def held(self) -> list[str]:
        """Returns the keys that hold a token."""
        with self._mutex:
            return list(self._held)

    def release(self, keys: Iterable[str]) -> None:
        """Frees the tokens of these keys."""
        with self._mutex:
            for key in keys:
                self._held.pop(key, None)

    def finish(self, sales: Sequence[tuple[Buy, Sale]]) -> None:
        """Spends the token of each refused buy, once for its key, and frees those of the others."""
        with self._mutex:
            for buy, sale in sales:
                self._held.pop(buy.key, None)
                if isinstance(sale, Refused) and buy.key not in self._spent:
                    self._spent[buy.key] = None
                    self._bucket.take()
            while len(self._spent) > MAX_KEYS:
                self._spent.popitem(last=False)

    def throttle(self, keys: Sequence[str]) -> list[int]:
        """Queues the keys. Returns the seconds until there is a token for each, at least 1.

        A key that comes again before its time keeps its place.
        """
        with self._mutex:
            now = self._clock()
            next_token_at = now + self._bucket.wait_s(1 + len(self._held))
            places = [self._place(key, now, next_token_at) for key in keys]
            while len(self._queue) > MAX_KEYS:
                self._queue.popitem(last=False)
            return [max(1, math.ceil(place - now)) for place in places]

    def _place(self, key: str, now: float, next_token_at: float) -> float:
        """Returns the place of a key in the queue: the time of its token. Queues the key if it has no place yet."""
        place = self._queue.get(key, now)
        if place > now:
            return place
        place = max(next_token_at, self._queue_end + 1.0 / self._per_s)
        if place > now + MAX_WAIT_S:
            # Places after the longest wait are spread at random, so that not all keys come back at once.
            place = now + MAX_WAIT_S * random.uniform(0.5, 1.0)
        else:
            self._queue_end = place
        self._queue[key] = place
        self._queue.move_to_end(key)
        return place
