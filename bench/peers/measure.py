"""Loads all systems in turn, round by round, and returns the figures of each round."""

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass

from bench.load import Load, Request, cpu_seconds, load, median, worst
from bench.peers.system import PRODUCTS, System
from bench.program import in_round, print_progress

KINDS = ("query", "buy")
SPREADS = {"hot": 1, "spread": PRODUCTS}  # the number of products that a load requests in turn

# A system is at rest once it has used less than REST_SHARE of a core for REST_S. wrk closes its connections during
# requests, and the work that is left of these must not slow the next system down.
REST_S = 0.4
REST_SHARE = 0.05
REST_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Cell:
    """One load: the number of clients, the kind of request, and one product or many."""

    clients: int
    kind: str
    spread: str

    def requests(self, system: System) -> list[Request]:
        """Returns the requests that wrk sends to a system in turn."""
        request = system.query if self.kind == "query" else system.buy
        return [request(number) for number in range(SPREADS[self.spread])]


@dataclass(frozen=True)
class Row:
    """The rounds of a system under one load."""

    cell: Cell
    system: str
    runs: Sequence[Load]

    @property
    def load(self) -> Load:
        return median(self.runs)

    @property
    def worst(self) -> Load:
        return worst(self.runs)

    @property
    def p99_to_p50(self) -> list[float]:
        """Returns p99 divided by p50 for each round."""
        return [run.p99_ms / run.p50_ms for run in self.runs]


def measure(systems: Sequence[System], clients: Sequence[int], rounds: int, seconds: int) -> list[Row]:
    """Runs each load in each round. Each load runs on all systems in turn: a machine that slows down affects all."""
    plan = [
        (round_number, cell, system)
        for round_number in range(1, rounds + 1)
        for cell in itertools.starmap(Cell, itertools.product(clients, KINDS, SPREADS))
        for system in in_round(systems, round_number)
    ]
    measured: dict[tuple[Cell, str], list[Load]] = {}
    began = time.monotonic()
    for done, (round_number, cell, system) in enumerate(plan):
        figures = load(system.url, cell.requests(system), clients=cell.clients, seconds=seconds, pids=system.pids)
        await_rest(system)
        measured.setdefault((cell, system.name), []).append(figures)
        remaining_s = (time.monotonic() - began) / (done + 1) * (len(plan) - done - 1)
        what = f"round {round_number}  {cell.clients:>4} clients  {cell.kind:<5}  {cell.spread:<6}  {system.name:<14}"
        speed = f"{figures.per_second:>8,.0f}/s  p99 {figures.p99_ms:>8.2f} ms"
        rest = f"{figures.errors} errors, {figures.others:.0%} others  ({remaining_s / 60:.1f} min left)"
        print_progress(f"{done + 1:>4}/{len(plan)}  {what}  {speed}  {rest}")
    return [Row(cell, name, loads) for (cell, name), loads in measured.items()]


def await_rest(system: System) -> None:
    """Waits until the system is at rest, REST_TIMEOUT_S at most."""
    deadline = time.monotonic() + REST_TIMEOUT_S
    while time.monotonic() < deadline:
        before_s = cpu_seconds(system.pids)
        time.sleep(REST_S)
        if cpu_seconds(system.pids) - before_s < REST_SHARE * REST_S:
            return
