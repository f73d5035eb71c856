"""A cluster for fault runs: three nodes, two of each tier and HAProxy, all in a new folder, and ended at the exit."""

import signal
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from cluster.databases import Databases
from cluster.layout import LOCAL_PORTS, Ports, loopback_layout, numbered_layout
from cluster.node import LocalNode, unwrapped
from cluster.passwords import Passwords
from cluster.processes import Keeper, signal_all, wait_for
from cluster.programs import Programs
from cluster.tiers import LocalTiers, Tier, TierPorts, workers
from conf.health import probe
from tests.cluster.networks import Networks
from tests.support.tiers import free_port, products_file

NODES = 3
_CATALOG_OF_FAULTS = {"Tux": 10_000_000, "Whale": 10_000_000, "Bird": 10_000_000}  # stock by name
# Of each phase there is a product that sells out.
TICKETS = 300


class FaultyStore:
    """A store on a cluster. With `networks` each node has a network of its own, and ports need not be free.

    `is_synchronous` off makes the leader acknowledge what no standby has.
    """

    def __init__(
        self,
        folder: Path,
        programs: Programs,
        networks: Networks | None,
        *,
        phases: int,
        is_synchronous: bool = True,
    ) -> None:
        self.networks = networks
        if networks is None:
            layout = loopback_layout(_free_ports(), is_synchronous=is_synchronous)
            ports = TierPorts(*(free_port() for _ in range(5)))
        else:
            layout = numbered_layout(networks.hosts, LOCAL_PORTS, is_synchronous=is_synchronous)
            ports = TierPorts()
        passwords = Passwords.made_once(folder / "secrets")
        wrap = unwrapped if networks is None else networks.wrap
        self.databases = Databases(layout, folder, programs, passwords, wrap)
        self.address = layout.store_address(passwords.store)
        products = {**_CATALOG_OF_FAULTS, **{ticket(phase): TICKETS for phase in range(phases)}}
        file = products_file(folder, *(f"{name} 10 {stock}" for name, stock in products.items()))
        settings = {"PRODUCTS": file, "REFUSED_PER_S": "999999"}
        self.tiers = LocalTiers(folder / "tiers", self.address, programs, ports, settings)
        self._keeper = Keeper()
        self._exit = ExitStack()

    def __enter__(self) -> Self:
        with self._exit:
            if self.networks is not None:
                self._exit.callback(self.networks.remove)
                self.networks.make()
            self._exit.callback(self._stop)
            self.databases.start()
            self._keeper.keep(self.tiers.processes)
            self.tiers.wait_until_ready()
            self._exit = self._exit.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._exit.close()

    def products(self, phase: int) -> list[str]:
        """Returns the products of a phase. One of them sells out in it."""
        return [*_CATALOG_OF_FAULTS, ticket(phase)]

    def kill_tier(self, kind: str, turn: int) -> None:
        """Kills one process of a tier: in turn the first and the second tier of the kind, a worker and the master."""
        tiers = self.tiers.of_kind(kind)
        tier = tiers[turn % len(tiers)]
        pids = workers(tier)
        if pids:
            victims = pids[1:2] if turn // len(tiers) % 2 and len(pids) > 1 else pids[:1]
            signal_all(victims, signal.SIGKILL)

    def wait_until_tiers_are_ready(self, kind: str) -> None:
        """Waits until both tiers of a kind are ready. Raises TimeoutError."""

        def are_ready() -> bool:
            return not any(probe(tier.address, "/ready") for tier in self.tiers.of_kind(kind))

        wait_for(f"both tiers of the kind {kind} are ready", are_ready, timeout_s=120)

    def restart(self, tier: Tier) -> None:
        """Ends a tier by SIGTERM, which lets it finish its requests, and waits until its successor is ready."""
        before = tier.process.pid
        tier.process.terminate()

        def is_replaced() -> bool:
            return tier.process.pid != before and probe(tier.address, "/ready") is None

        wait_for(f"{tier.name} is ready again", is_replaced, timeout_s=60)

    def revive(self, *nodes: LocalNode) -> None:
        """Starts what was killed of these nodes."""
        for node in nodes:
            for process in node.processes:
                if not process.runs():
                    process.start()

    def wait_until_whole(self, on_progress: Callable[[], None] = lambda: None) -> None:
        """Waits until the leader has both standbys and all tiers are ready. Raises TimeoutError."""
        deadline = time.monotonic() + 180
        while True:
            on_progress()
            if self.databases.is_complete() and not (missing := self.tiers.not_ready()):
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"not whole after the fault: {self.databases.members()} {missing}")
            time.sleep(0.5)

    def _stop(self) -> None:
        self._keeper.stop()
        for node in self.databases.nodes:
            node.signal(signal.SIGCONT)  # a frozen node could not end
        with suppress(TimeoutError):
            self.tiers.stop()
        self.databases.stop()


def ticket(phase: int) -> str:
    """Returns the name of the product that sells out in a phase."""
    return f"Ticket{phase}"


def _free_ports() -> Ports:
    return Ports(*(free_port() for _ in range(4)))
