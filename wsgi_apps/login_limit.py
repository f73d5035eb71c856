"""Slows down whoever guesses the secret of the owner."""

import ipaddress
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from domain.errors import TooManyLogins
from domain.token_bucket import TokenBucket

# Of one address: five guesses at once, and two a minute in the long run.
GUESSES = 5
GUESSES_PER_S = 1 / 30
# Of all addresses together, for a guesser may have many.
GUESSES_OF_ALL = 50
GUESSES_OF_ALL_PER_S = 1 / 3
# The buckets that are kept, those of the addresses that have guessed last. A bucket takes about 300 bytes.
MAX_ADDRESSES = 1_024


class LoginLimit:
    """A token bucket for each address, and one for all of them. A wrong secret costs a token of both.

    While there is none, no secret is looked at: a right one would otherwise tell a guesser that it is right.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._of_all = TokenBucket(GUESSES_OF_ALL_PER_S, GUESSES_OF_ALL, clock)
        self._of_address: OrderedDict[str, TokenBucket] = OrderedDict()
        self._mutex = threading.Lock()

    def attempt(self, address: str, is_right: Callable[[], bool]) -> bool:
        """Returns whether the secret is right. Raises TooManyLogins without looking at it.

        The tokens are taken before and given back after a right one, so guesses at the same moment are counted, too. A
        right secret also forgives the wrong ones of its address.
        """
        network = _network(address)
        with self._mutex:
            bucket = self._bucket(network)
            wait_s = max(bucket.wait_s(), self._of_all.wait_s())
            if wait_s > 0:
                raise TooManyLogins(retry_after_s=math.ceil(wait_s))
            bucket.take()
            self._of_all.take()
        if not is_right():
            return False
        with self._mutex:
            self._of_address.pop(network, None)
            self._of_all.put(1.0)
        return True

    def _bucket(self, network: str) -> TokenBucket:
        """Returns the bucket of an address, and forgets the one that was not used for the longest time."""
        bucket = self._of_address.setdefault(network, TokenBucket(GUESSES_PER_S, GUESSES, self._clock))
        self._of_address.move_to_end(network)
        if len(self._of_address) > MAX_ADDRESSES:
            self._of_address.popitem(last=False)
        return bucket


def _network(address: str) -> str:
    """Returns an IPv4 address, or the first 64 bits of an IPv6 address: a client may have all addresses of those."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return ""  # a Unix socket has none
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(parsed.ipv4_mapped or ipaddress.ip_network((int(parsed), 64), strict=False))
    return str(parsed)
