"""How many connections each worker of a tier has, for all of them to see.

Workers take connections from one queue. Without a look at each other, the one that is awake takes all that come at
once, in one start of five, and half of the machine idles from then on.
"""

import mmap
from functools import cache

# Workers of one tier that are looked at. Beyond, some share a place, and connections are spread less evenly.
PLACES = 64


class Crowd:
    """A place for each worker. Make it before the fork: the memory is shared by the process that makes it and its
    children. A place is 0 when nobody has it, else one more than the connections of its worker."""

    def __init__(self) -> None:
        self._places = memoryview(mmap.mmap(-1, PLACES * 4)).cast("i")

    def tell(self, worker: int, connections: int) -> None:
        self._places[worker % PLACES] = connections + 1

    def leave(self, worker: int) -> None:
        self._places[worker % PLACES] = 0

    def has_fewer_than(self, connections: int) -> bool:
        """Whether any worker has fewer connections."""
        return any(0 < place <= connections for place in self._places)


@cache
def crowd_of_this_tier() -> Crowd:
    """The one that a master and its workers share."""
    return Crowd()
