"""The number of connections of each worker of a tier, for all of its workers to see.

Workers take connections from one queue. Without a look at each other, the one that is awake takes all that come at
once, in one start of five, and half of the machine idles from then on.
"""

import mmap
from functools import cache

# Workers of one tier that are looked at. Beyond, some share a slot, and connections are spread less evenly.
SLOTS = 64


class Scoreboard:
    """A slot for each worker. Make it before the fork: the memory is shared by the process that makes it and its
    children. A slot is 0 when nobody has it, else one more than the connections of its worker."""

    def __init__(self) -> None:
        self._slots = memoryview(mmap.mmap(-1, SLOTS * 4)).cast("i")

    def set(self, worker: int, connections: int) -> None:
        self._slots[worker % SLOTS] = connections + 1

    def clear(self, worker: int) -> None:
        self._slots[worker % SLOTS] = 0

    def has_fewer_than(self, connections: int) -> bool:
        """Whether any worker has fewer connections."""
        return any(0 < slot <= connections for slot in self._slots)


@cache
def scoreboard_of_this_tier() -> Scoreboard:
    """The one that a master and its workers share."""
    return Scoreboard()
