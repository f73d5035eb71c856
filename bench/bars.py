"""Compares the measured figures with their bars: `python -m bench.bars`. Exit code 1 when a bar is not met.

It reads peers.json, growth.json and memory.json in bench/results/, and measures nothing itself.
"""

import json
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.load import Load
from bench.peers.measure import KINDS, SPREADS, Cell, Row
from bench.peers.results import LIMIT, Results, ratios, read_json
from bench.program import RESULTS

STORE = "store"
CLIENTS = (32, 128)
LABELS = {"query": "queries", "buy": "buys", "hot": "one product", "spread": "1,000 products"}


@dataclass(frozen=True)
class Bar:
    """A threshold, and the figure of each round, whose median is judged. `rounds` is empty when nothing was measured.

    The median may be no less than `wanted` or, with `at_most`, no more. `aim` is a better value that nothing enforces.
    """

    what: str
    wanted: float
    rounds: Sequence[float]
    at_most: bool = False
    aim: float | None = None

    @property
    def measured(self) -> float | None:
        return statistics.median(self.rounds) if self.rounds else None

    @property
    def worst(self) -> float | None:
        return (max if self.at_most else min)(self.rounds, default=None)

    @property
    def is_met(self) -> bool:
        if self.measured is None:
            return False
        return self.measured <= self.wanted if self.at_most else self.measured >= self.wanted


def of_peers(results: Results) -> Iterator[Bar]:
    """Yields the bars of a comparison with the peers."""

    def ratio(figure: str, one: Cell, two: Cell, system: str = STORE) -> Sequence[float]:
        """Returns, round by round, the store's figure under load `one` divided by a system's under load `two`."""
        above, below = results.row(STORE, one), results.row(system, two)
        return [] if above is None or below is None else ratios(above, below, figure)

    for kind, wanted, aim in (("query", 1.8, 2.0), ("buy", 0.65, 0.8)):
        cell = Cell(32, kind, "hot")
        yield Bar(
            f"32 clients: {LABELS[kind]}, ratio to the limit", wanted, ratio("per_second", cell, cell, LIMIT), aim=aim
        )
    for kind in KINDS:
        for spread in SPREADS:
            many, fewer = Cell(128, kind, spread), Cell(32, kind, spread)
            yield Bar(
                f"128 clients: {LABELS[kind]}, {LABELS[spread]}, ratio to the rate at 32",
                0.9,
                ratio("per_second", many, fewer),
            )
    for clients in CLIENTS:
        for kind in KINDS:
            for spread in SPREADS:
                row = results.row(STORE, Cell(clients, kind, spread))
                what = f"{clients} clients: {LABELS[kind]}, {LABELS[spread]}, p99 divided by p50"
                yield Bar(what, 5, row.p99_to_p50 if row else [], at_most=True)
    store = [row for row in results.rows if row.system == STORE]
    yield Bar("slowest request of all, ms", 500, _worst(store, "max_ms"), at_most=True)
    yield Bar("requests above 500 ms", 0, _worst(store, "over_500_ms"), at_most=True)
    yield Bar("requests that failed", 0, _worst(store, "errors"), at_most=True)
    yield Bar("runs in which a promise was broken", 0, [float(STORE in results.void)] if store else [], at_most=True)
    for clients in CLIENTS:
        for kind in KINDS:
            many, one = Cell(clients, kind, "spread"), Cell(clients, kind, "hot")
            yield Bar(
                f"{clients} clients: {LABELS[kind]}, 1,000 products, ratio to one product",
                0.9,
                ratio("per_second", many, one),
            )
    for clients in CLIENTS:
        for kind, wanted in (("query", 1.3), ("buy", 2.5)):
            cell = Cell(clients, kind, "hot")
            yield Bar(
                f"{clients} clients: {LABELS[kind]}, ratio to PocketBase",
                wanted,
                ratio("per_second", cell, cell, "pocketbase"),
            )
    for kind, wanted, aim_p50 in (("query", 2.0, None), ("buy", 7.0, 6.0)):
        cell = Cell(1, kind, "hot")
        yield Bar(
            f"one client: {kind} p50, ratio to the limit",
            wanted,
            ratio("p50_ms", cell, cell, LIMIT),
            at_most=True,
            aim=aim_p50,
        )


def of_growth(facts: Mapping[str, Any]) -> Iterator[Bar]:
    """Yields the bars of growth.json: how many times slower the largest store is than the smallest."""
    for series, size, what in (("orders", 1_000_000, "1,000,000 orders"), ("products", 100_000, "100,000 products")):
        for kind in KINDS:
            found = [row for row in facts["rows"] if (row["series"], row[series], row["kind"]) == (series, size, kind)]
            times = [1 / ratio for row in found for ratio in row["throughput_ratios"]]
            yield Bar(f"{what}: {LABELS[kind]}, times slower than a small store", 1.1, times, at_most=True)


def of_memory(facts: Mapping[str, Any]) -> Iterator[Bar]:
    """Yields the bar of memory.json: the growth of the worker that grows most."""
    what = f"memory of a worker after {facts['orders']:,} buys, ratio to that after {facts['settled_after']:,}"
    growth = max(row["last_mb"] / row["settled_mb"] for row in facts["workers"])
    yield Bar(what, 1.05, [growth], at_most=True)


def _worst(rows: Sequence[Row], figure: str) -> list[float]:
    """Returns a list with the worst round only, because the worst of these figures is judged and not the median."""
    loads: list[Load] = [run for row in rows for run in row.runs]
    return [max(getattr(load, figure) for load in loads)] if loads else []


def table(lines: Sequence[Bar]) -> str:
    """Returns the bars as a Markdown table."""

    def number(value: float | None) -> str:
        return "" if value is None else f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.2f}"

    text = ["| bar | wanted | aim | measured | worst round | met |", "|---|---:|---:|---:|---:|---|"]
    for bar in lines:
        wanted = f"{number(bar.wanted)} at {'most' if bar.at_most else 'least'}"
        met = "not measured" if bar.measured is None else "yes" if bar.is_met else "**no**"
        cells = (bar.what, wanted, number(bar.aim), number(bar.measured), number(bar.worst), met)
        text.append(f"| {' | '.join(cells)} |")
    return "\n".join(text)


def of_all() -> list[Bar]:
    """Returns all bars with the figures in bench/results/."""

    def facts(name: str) -> Any:
        return json.loads((RESULTS / name).read_text())

    peers = of_peers(read_json(RESULTS / "peers.json"))
    return [*peers, *of_growth(facts("growth.json")), *of_memory(facts("memory.json"))]


def main() -> int:
    """Prints the bars. Returns 1 when one is not met."""
    lines = of_all()
    print(table(lines))
    return 0 if all(bar.is_met for bar in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
