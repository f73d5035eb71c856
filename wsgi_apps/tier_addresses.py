"""The addresses of a tier: chooses one for each try, and leaves out those that do not answer.

A tier has several addresses when it runs several times on one database. Its setting lists them, or a host name in it
has several IP addresses.
"""

import ipaddress
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from functools import partial

from db import outages
from wsgi_apps.tier_connection import TierConnection

# An address that does not answer is left out for this long, twice as long after each further failure, and up to
# MAX_LEFT_OUT_S. A tier that restarts is back within a second; a machine that is gone costs a probe each ten seconds.
FIRST_LEFT_OUT_S = 0.5
MAX_LEFT_OUT_S = 10.0

# A host name is looked up again after this long, so a new tier of that name gets calls soon.
LOOKUP_INTERVAL_S = 5.0


class TierAddress:
    """One address of a tier, with its kept connections and what is known of its outage."""

    def __init__(self, tier: str, host: str, port: int, max_body_bytes: int, ip: str | None = None) -> None:
        """Makes no connection yet. `ip` is one of several IP addresses of the host."""
        self.host, self.port, self.ip = host, port, ip
        # The zone of an IPv6 address (after the %) has a meaning on this machine only.
        self.host_line = f"Host: {_authority(host.partition('%')[0], port)}"
        self.text = _authority(host, port) if ip is None else f"{_authority(host, port)} ({ip})"
        self.where = f"the {tier} at {self.text}"
        self.busy: list[None] = []  # an item for each call under way; append and pop are atomic
        self.lost: str | None = None  # the log line of the outage, while it lasts
        # The path that the tier does not know, or "" when it rejects every call; None while it accepts all.
        self.rejected_path: str | None = None
        self.failures = 0  # since the last answer
        self.probe_at: float | None = None  # monotonic clock; None unless it is left out
        self.connect_share = 1  # the number of addresses, which share the time to connect
        self.is_gone = False  # no more an address of the tier
        self._max_body_bytes = max_body_bytes
        self._idle: list[TierConnection] = []

    @property
    def is_left_out(self) -> bool:
        """Whether calls go to other addresses, if there are any."""
        return self.probe_at is not None

    def connection(self) -> tuple[TierConnection, bool]:
        """Returns a connection, and whether it is a kept one. list.pop is atomic, so no two threads get the same."""
        try:
            return self._idle.pop(), True
        except IndexError:
            host = self.ip or self.host
            return TierConnection(host, self.port, self._max_body_bytes, connect_share=self.connect_share), False

    def keep(self, connection: TierConnection) -> None:
        """Keeps a connection for the next call."""
        if self.is_gone:
            connection.close()
        else:
            self._idle.append(connection)

    def close(self) -> None:
        """Closes the idle connections."""
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return
            connection.close()

    def leave_out(self, at_least_s: float = 0.0) -> None:
        """Leaves it out, longer after each failure. Jitter spreads the probes of many processes."""
        left_out_s = min(FIRST_LEFT_OUT_S * 2.0 ** min(self.failures, 30), MAX_LEFT_OUT_S) * random.uniform(0.75, 1.25)
        self.failures += 1
        self.probe_at = time.monotonic() + max(left_out_s, at_least_s)

    def bring_back(self) -> None:
        """Ends that it is left out."""
        self.probe_at = None


class TierAddresses:
    """The addresses of one tier. Any thread may call it.

    A try goes to the address with the fewest calls under way, in turns among equals. An address that is left out gets
    a probe after its time, not a shopper's call; it gets calls only when all are left out. `probe` returns whether the
    tier at an address works. Host names are looked up in a thread; until then, one address stands for each.
    """

    def __init__(
        self,
        tier: str,
        places: Sequence[tuple[str, int]],
        max_body_bytes: int,
        probe: Callable[[TierAddress], bool],
    ) -> None:
        self._tier = tier
        self._max_body_bytes = max_body_bytes
        self._probe = probe
        self._of_place = {place: [TierAddress(tier, *place, max_body_bytes)] for place in places}
        self._all: list[TierAddress] = []
        self._replace_all()
        self._names = [place for place in places if not _is_literal(place[0])]
        self._look_up_at = 0.0  # monotonic clock
        self._turn = 0
        self._under_way: dict[str, threading.Thread] = {}  # lookup and probes, by their names
        self._mutex = threading.Lock()

    @property
    def all(self) -> Sequence[TierAddress]:
        """All addresses, those that are left out, too."""
        return self._all

    def choose(self, tried: Collection[TierAddress] = ()) -> TierAddress:
        """Returns an address that is not left out and was not `tried`; if there is none, the next of all."""
        if self._names and time.monotonic() >= self._look_up_at:
            self._look_up_at = time.monotonic() + LOOKUP_INTERVAL_S
            self._run_in_background("lookup", self._look_up)
        addresses = self._all
        if len(addresses) == 1:
            return addresses[0]
        self._probe_those_due(addresses)
        self._turn += 1
        first = self._turn % len(addresses)
        in_turn = addresses[first:] + addresses[:first]
        usable = [address for address in in_turn if not address.is_left_out and address not in tried]
        return min(usable or in_turn, key=lambda address: len(address.busy))

    def has_other(self, tried: Collection[TierAddress]) -> bool:
        """Whether an address that was not `tried` is not left out."""
        addresses = self._all
        return len(addresses) > 1 and any(not one.is_left_out and one not in tried for one in addresses)

    def close(self) -> None:
        """Closes the idle connections, after the end of a lookup or a probe."""
        for thread in list(self._under_way.values()):
            thread.join()
        for address in self._all:
            address.close()

    def _probe_those_due(self, addresses: Sequence[TierAddress]) -> None:
        for address in addresses:
            if address.probe_at is not None and time.monotonic() >= address.probe_at:
                self._run_in_background(address.text, partial(self._probe_once, address))

    def _probe_once(self, address: TierAddress) -> None:
        if self._probe(address):
            address.bring_back()  # its failures count until it answers a call: a probe is not a buy
        else:
            address.leave_out()

    def _run_in_background(self, name: str, work: Callable[[], None]) -> None:
        """Runs `work` in a thread of its own, unless the one of this name is still under way."""

        def run() -> None:
            try:
                work()
            finally:
                del self._under_way[name]

        with self._mutex:
            if name not in self._under_way:
                thread = self._under_way[name] = threading.Thread(target=run, name=f"{self._tier} {name}", daemon=True)
                try:
                    thread.start()
                except RuntimeError:  # no thread can be started now; a later call tries again
                    del self._under_way[name]

    def _look_up(self) -> None:
        """Looks all host names up, and replaces the addresses of those that have changed."""
        for place in self._names:
            with suppress(OSError, UnicodeError):  # the addresses that are known stay
                self._of_place[place] = self._addresses_of(place, _ips_of(*place))
        before = self._all
        self._replace_all()
        for address in before:
            if address in self._all:
                continue
            address.is_gone = True
            address.close()
            outages.log_end(address.where, f"{address.where} is no more in the DNS")

    def _replace_all(self) -> None:
        self._all = [address for addresses in self._of_place.values() for address in addresses]
        for address in self._all:
            address.connect_share = len(self._all)

    def _addresses_of(self, place: tuple[str, int], ips: Sequence[tuple[str, int]]) -> list[TierAddress]:
        """Returns an address for each IP address, those that are known as they are."""
        known = {(address.ip, address.port): address for address in self._of_place[place]}
        if not ips:
            same = known.get((None, place[1]))
            return [same or TierAddress(self._tier, *place, self._max_body_bytes)]
        host = place[0]
        return [
            known.get((ip, port)) or TierAddress(self._tier, host, port, self._max_body_bytes, ip) for ip, port in ips
        ]


def _ips_of(host: str, port: int) -> Sequence[tuple[str, int]]:
    """Returns the IP addresses of a host that has several. Raises OSError.

    It returns none for a host with one address, or with one of each family: those are two ways to one tier, and a
    connection tries one after the other.
    """
    found = dict.fromkeys(
        (family, address[:2]) for family, _, _, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    )
    if max(Counter(family for family, _ in found).values(), default=0) < 2:
        return []
    return [(str(ip), int(port)) for _, (ip, port) in found]


def _is_literal(host: str) -> bool:
    """Whether the host needs no lookup: an IP address, or this machine."""
    if host.lower() == "localhost":
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _authority(host: str, port: int) -> str:
    """Returns host and port in the form of a URL and of a Host header."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
