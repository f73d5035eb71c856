"""The loads, and the rounds in which all systems get them."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from bench.load import Load, Request, cpu_seconds, load, median, worst
from bench.peers.system import PRODUCTS, System

KINDS = ("query", "buy")
SPREADS = {"hot": 1, "spread": PRODUCTS}  # how many products the load asks for in turn

# A system is at rest when it used less than this share of a core for as long. wrk hangs up in the middle of
# requests, and what is left of them must not disturb the next system.
REST_S = 0.4
REST_SHARE = 0.05
REST_WITHIN_S = 5.0


@dataclass(frozen=True)
class Cell:
    """One load: so many clients, asking for one product or many."""

    clients: int
    kind: str
    spread: str

    def requests(self, system: System) -> list[Request]:
        one = system.query if self.kind == "query" else system.buy
        return [one(number) for number in range(SPREADS[self.spread])]


@dataclass(frozen=True)
class Row:
    """A system's rounds under one load."""

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
    def p99_of_p50(self) -> list[float]:
        """Round by round."""
        return [run.p99_ms / run.p50_ms for run in self.runs]


def measure(systems: Sequence[System], clients: Sequence[int], rounds: int, seconds: int) -> list[Row]:
    """Each round takes each load, and with each load the systems in turn, so the machine's mood is the same for all.

    To and fro, so that no system always follows the same other.
    """
    plan = [
        (round_number, cell, system)
        for round_number in range(1, rounds + 1)
        for cell in (Cell(*one) for one in product(clients, KINDS, SPREADS))
        for system in systems[:: 1 if round_number % 2 else -1]
    ]
    measured: dict[tuple[Cell, str], list[Load]] = {}
    began = time.monotonic()
    for done, (round_number, cell, system) in enumerate(plan):
        one = load(system.url, cell.requests(system), clients=cell.clients, seconds=seconds, pids=system.pids)
        await_rest(system)
        measured.setdefault((cell, system.name), []).append(one)
        remaining_s = (time.monotonic() - began) / (done + 1) * (len(plan) - done - 1)
        what = f"round {round_number}  {cell.clients:>4} clients  {cell.kind:<5}  {cell.spread:<6}  {system.name:<14}"
        figures = f"{one.per_second:>8,.0f}/s  p99 {one.p99_ms:>8.2f} ms  {one.errors} errors, {one.others:.0%} others"
        print(
            f"{done + 1:>4}/{len(plan)}  {what}  {figures}  ({remaining_s / 60:.1f} min left)",
            file=sys.stderr,
            flush=True,
        )
    return [Row(cell, name, loads) for (cell, name), loads in measured.items()]


def await_rest(system: System) -> None:
    """Until the system is at rest, or for as long as that may take."""
    deadline = time.monotonic() + REST_WITHIN_S
    while time.monotonic() < deadline:
        before_s = cpu_seconds(system.pids)
        time.sleep(REST_S)
        if cpu_seconds(system.pids) - before_s < REST_SHARE * REST_S:
            return
