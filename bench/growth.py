"""Measures throughput and latency as the store grows: `make bench-growth`. It needs wrk (Debian: apt install wrk).

Three series vary the orders in the log, the products, and the clients; each measures a query and a buy. All stores of a
series run at once and are loaded in turn, so that a machine that slows down affects all of them. The report has the
median of the rounds, and the median of each round's ratio to the first point of the series. After the load the promises
of every store are checked: a run that broke one is void and ends with exit code 1.
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench import machine, plots, seed
from bench.load import Load, load, median, require_wrk
from bench.program import RESULTS, in_round, run
from tests.support.tiers import Tiers, running

KINDS = ("query", "buy")
# Requests are spread over this number of products at most. Otherwise a larger catalog would also lengthen wrk's list of
# requests, and the figures would not show the store alone.
MAX_PRODUCTS_REQUESTED = 1_000
WARM_UP_S = 1


@dataclass(frozen=True)
class Point:
    """The size of a store, and the number of its clients."""

    orders: int = 0
    products: int = 1_000
    clients: int = 32

    @property
    def store(self) -> "Point":
        """Returns the point without its clients. Points that differ only in their clients share a store."""
        return replace(self, clients=0)


@dataclass(frozen=True)
class Series:
    """Points that differ in the field `varies`. All are compared with the first."""

    varies: str
    title: str
    points: Sequence[Point]


SERIES = (
    Series("orders", "orders in the log", [Point(orders=count) for count in (0, 100_000, 1_000_000)]),
    Series("products", "products in the catalog", [Point(products=count) for count in (10, 1_000, 100_000)]),
    Series("clients", "clients at once", [Point(clients=count) for count in (1, 2, 4, 8, 16, 32, 64, 128)]),
)
QUICK = (
    Series("orders", "orders in the log", [Point(orders=count) for count in (0, 20_000)]),
    Series("products", "products in the catalog", [Point(products=count) for count in (10, 10_000)]),
    Series("clients", "clients at once", [Point(clients=count) for count in (1, 32)]),
)


@dataclass(frozen=True)
class Row:
    """The measurements of one kind of request at one point. `load` has the medians of the rounds.

    The ratios are to the first point of the series; `throughput_ratios` has that of each round.
    """

    series: str
    kind: str
    point: Point
    load: Load
    slowest_per_second: float  # the slowest round
    fastest_per_second: float
    lowest_p99_ms: float
    highest_p99_ms: float
    throughput_ratios: Sequence[float]
    p99_ratio: float
    cpu_ratio: float

    @property
    def size(self) -> int:
        return int(getattr(self.point, self.series))


def main() -> int:
    """Measures all series, and writes the report."""
    parser = argparse.ArgumentParser(prog="bench.growth", description=__doc__.partition("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="rounds, of which the median counts (default 5)")
    parser.add_argument("--seconds", type=int, default=2, help="length of one load (default 2)")
    parser.add_argument("--quick", action="store_true", help="one round of 1 s over small sizes, to see that it works")
    options = parser.parse_args()
    if options.rounds < 1 or options.seconds < 1:
        parser.error("--rounds and --seconds are at least 1")
    rounds, seconds = (1, 1) if options.quick else (options.rounds, options.seconds)
    require_wrk()
    try:
        rows = [row for series in (QUICK if options.quick else SERIES) for row in measure(series, rounds, seconds)]
    finally:
        _show_progress("")  # clears the progress line
    # --quick must not overwrite the results of a full run.
    report(rows, rounds, seconds, RESULTS / ("growth-quick" if options.quick else "growth"))
    return 0


def measure(series: Series, rounds: int, seconds: int) -> list[Row]:
    """Measures a series, and returns a row for each kind of request and each point. Raises seed.BrokenPromise."""
    with ExitStack() as stack:
        # Not in /tmp, which may be in memory: a commit must reach a disk.
        RESULTS.mkdir(parents=True, exist_ok=True)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=RESULTS, prefix="growth-")))
        stores = {
            store: stack.enter_context(running(_fill(folder / str(number), store)))
            for number, store in enumerate(dict.fromkeys(point.store for point in series.points))
        }
        for store, tiers in stores.items():
            for kind in KINDS:
                _load(tiers, kind, replace(store, clients=32), WARM_UP_S)
        runs: dict[tuple[str, Point], list[Load]] = {(kind, point): [] for kind in KINDS for point in series.points}
        for round_number in range(1, rounds + 1):
            for kind, point in in_round(list(runs), round_number):
                size = getattr(point, series.varies)
                _show_progress(f"{series.title}: round {round_number} of {rounds}, {kind}, {size:,}")
                runs[kind, point].append(_load(stores[point.store], kind, point, seconds))
        for number, tiers in enumerate(stores.values(), start=1):
            _show_progress(f"{series.title}: checking the books of store {number} of {len(stores)}")
            seed.check(tiers.data_dir)
    first = series.points[0]
    return [_row(series, kind, point, measured, runs[kind, first]) for (kind, point), measured in runs.items()]


def _fill(data_dir: Path, size: Point) -> Path:
    """Fills a store to this size, and returns its folder."""

    def progress(orders: int) -> None:
        _show_progress(f"filling a store with {size.orders:,} orders: {orders:,}")

    seed.fill(data_dir, products=size.products, orders=size.orders, progress=progress)
    return data_dir


def _load(tiers: Tiers, kind: str, point: Point, seconds: int) -> Load:
    """Loads the store of a point, and returns the figures."""
    requests = seed.requests(kind, min(point.products, MAX_PRODUCTS_REQUESTED))
    pids = [pid for name in tiers.ports for pid in tiers.workers(name)]
    return load(tiers.url("front_end"), requests, clients=point.clients, seconds=seconds, pids=pids)


def _row(series: Series, kind: str, point: Point, runs: Sequence[Load], first: Sequence[Load]) -> Row:
    """Summarizes the rounds at a point. `first` has the rounds at the first point of the series."""
    return Row(
        series=series.varies,
        kind=kind,
        point=point,
        load=median(runs),
        slowest_per_second=min(run.per_second for run in runs),
        fastest_per_second=max(run.per_second for run in runs),
        lowest_p99_ms=min(run.p99_ms for run in runs),
        highest_p99_ms=max(run.p99_ms for run in runs),
        throughput_ratios=_ratios([run.per_second for run in runs], [run.per_second for run in first]),
        p99_ratio=statistics.median(_ratios([run.p99_ms for run in runs], [run.p99_ms for run in first])),
        cpu_ratio=statistics.median(_ratios([run.cpu_us for run in runs], [run.cpu_us for run in first])),
    )


def _ratios(runs: Sequence[float], first: Sequence[float]) -> list[float]:
    """Returns the ratio of each round. A slow machine slows both figures of a round, so the ratio is fair."""
    return [round(one / other, 3) for one, other in zip(runs, first, strict=True)]


def _show_progress(text: str) -> None:
    """Prints the progress; on a terminal each line replaces the one before."""
    if sys.stderr.isatty():
        line = text[: shutil.get_terminal_size().columns - 1]
        print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
    elif text:
        print(text.rstrip(), file=sys.stderr, flush=True)


def report(rows: Sequence[Row], rounds: int, seconds: int, path: Path) -> None:
    """Prints the tables, and writes PATH.json, PATH.md and PATH.png."""
    method = (
        f"Medians of {rounds} interleaved rounds of {seconds} s, and the range of the rounds. "
        "Unless a table says otherwise, the store has 1,000 products, no orders at first, and 32 clients. "
        f"Requests are spread over all products, at most {MAX_PRODUCTS_REQUESTED:,}. "
        "Each buy adds an order, so an empty log is empty only at the start. All promises held afterwards."
    )
    text = "\n\n".join([method, machine.line() + ".", *(table(series, rows) for series in SERIES)]) + "\n"
    print(text)
    facts = {"about": machine.about(), "rounds": rounds, "seconds": seconds, "rows": [_encode_row(row) for row in rows]}
    path.with_suffix(".json").write_text(json.dumps(facts, indent=2) + "\n")
    path.with_suffix(".md").write_text("# The store as it grows (`make bench-growth`)\n\n" + text)
    note = f"Medians of {rounds} interleaved rounds of {seconds} s; the bars show the range of the rounds."
    plots.save(draw(rows, note), path)


def _encode_row(row: Row) -> dict[str, Any]:
    """Returns a row for the JSON, without nested objects."""
    columns: dict[str, Any] = asdict(row)
    return {**columns.pop("point"), **columns.pop("load"), **columns}


def table(series: Series, rows: Sequence[Row]) -> str:
    """Returns the rows of one series as a Markdown table."""
    lines = [
        f"| {series.title} | what | requests/s | range | × the first | worst round | p50 ms | p99 ms | × the first "
        "| worst p99 | max ms | CPU × the first | errors | others |",
        "|---:|---|" + "---:|" * 12,
    ]
    for row in rows:
        if row.series == series.varies:
            per_second = f"{row.load.per_second:,.0f}"
            between = f"{row.slowest_per_second:,.0f} to {row.fastest_per_second:,.0f}"
            ratio = f"{statistics.median(row.throughput_ratios):.2f} | {min(row.throughput_ratios):.2f}"
            latency = f"{row.load.p50_ms:.2f} | {row.load.p99_ms:.2f} | {row.p99_ratio:.2f} | {row.highest_p99_ms:.2f}"
            rest = f"{row.load.max_ms:.0f} | {row.cpu_ratio:.2f} | {row.load.errors} | {row.load.others:.0%}"
            lines.append(f"| {row.size:,} | {row.kind} | {per_second} | {between} | {ratio} | {latency} | {rest} |")
    return "\n".join(lines)


def draw(rows: Sequence[Row], note: str) -> Figure:
    """Draws a column of two panels for each series: the throughput, and the p99 below it."""
    figure, axes = plots.panels(2, len(SERIES), width_in=12, height_in=7)
    for column, series in enumerate(SERIES):
        throughput, latency = axes[0][column], axes[1][column]
        for kind in KINDS:
            line = [row for row in rows if row.series == series.varies and row.kind == kind]
            medians = [row.load.per_second for row in line]
            _draw(throughput, kind, line, medians, [(row.slowest_per_second, row.fastest_per_second) for row in line])
            medians = [row.load.p99_ms for row in line]
            _draw(latency, kind, line, medians, [(row.lowest_p99_ms, row.highest_p99_ms) for row in line])
        throughput.set_title(series.title)
        latency.set_xlabel(series.title)
        throughput.set_ylabel("requests/s")
        latency.set_ylabel("p99, ms")
        for panel in (throughput, latency):
            panel.set_ylim(bottom=0)  # last: it ends the automatic scaling
            panel.yaxis.set_major_formatter("{x:,g}")
    axes[0][-1].legend(loc="upper left")
    figure.suptitle("The store as it grows: throughput above, 99th percentile of the latency below")
    plots.caption(figure, note)
    return figure


def _draw(axes: Axes, kind: str, line: Sequence[Row], medians: list[float], ranges: list[tuple[float, float]]) -> None:
    """Draws the medians of a kind of request as a line, with bars for the range of the rounds."""
    positions = range(len(line))  # not to scale: the sizes grow by factors, and a log scale has no 0
    below = [middle - low for middle, (low, _) in zip(medians, ranges, strict=True)]
    above = [high - middle for middle, (_, high) in zip(medians, ranges, strict=True)]
    style: dict[str, Any] = {"color": plots.COLOR_OF[kind], "marker": plots.MARKER_OF[kind], "capsize": 3}
    axes.errorbar(positions, medians, yerr=[below, above], label=kind, **style)
    axes.set_xticks(positions, [f"{row.size:,}" for row in line])


if __name__ == "__main__":
    run(main)
