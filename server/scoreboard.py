"""Balances the connections of a tier over its workers.

All workers of a tier accept from one queue. Without a scoreboard, in one start of five, the worker that was awake
accepted all connections that came at once, and half of the machine idled from then on.
"""

import math
import mmap
import time
from functools import cache

# With more workers than slots, some share a slot, and connections are balanced less evenly.
SLOTS = 64
# The longest time for which a worker leaves a new connection to the others. The worker with fewer may be busy.
ACCEPT_BACKOFF_S = 0.001


class Scoreboard:
    """The number of connections of each worker, in memory that the workers share.

    It must be made before the fork, because only the process that makes it and its children share the memory. The slot
    of a worker holds its connections plus one; a free slot holds 0.
    """

    def __init__(self) -> None:
        self._slots = memoryview(mmap.mmap(-1, SLOTS * 4)).cast("i")

    def set(self, worker: int, connections: int) -> None:
        """Publishes the number of connections of a worker."""
        self._slots[worker % SLOTS] = connections + 1

    def clear(self, worker: int) -> None:
        """Frees the slot of a worker that ends."""
        self._slots[worker % SLOTS] = 0

    def has_fewer_than(self, connections: int) -> bool:
        """Whether any worker has fewer connections."""
        return any(0 < slot <= connections for slot in self._slots)


class AcceptBackoff:
    """Delays the accept of a worker while another worker of the tier has fewer connections."""

    def __init__(self, scoreboard: Scoreboard) -> None:
        self._scoreboard = scoreboard
        self._until = -math.inf  # not 0: the monotonic clock may begin at 0

    def is_on(self, connections: int) -> bool:
        """Whether a worker with this many connections leaves the next one to the others.

        The event loop asks again at once, because the listener stays ready until a worker accepts.
        """
        if not self._scoreboard.has_fewer_than(connections):
            return False
        now = time.monotonic()
        if now > self._until + ACCEPT_BACKOFF_S:  # the last back-off was for another connection
            self._until = now + ACCEPT_BACKOFF_S
        return now < self._until


@cache
def scoreboard_of_this_tier() -> Scoreboard:
    """Returns the scoreboard that the master process and its workers share."""
    return Scoreboard()
