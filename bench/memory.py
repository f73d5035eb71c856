"""Measures whether any worker leaks memory: `make bench-memory`. It needs wrk (Debian: apt install wrk).

32 clients send 100,000 buys of many products to the front end, while each worker's resident memory, threads and file
descriptors are sampled. After the first fifth of the buys a worker has all the memory that it needs: one that ends more
than 10 % + 5 MB above that leaks. The exit code is 1 when a worker leaks or is replaced, or a promise is broken.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import cycle
from pathlib import Path
from threading import Event

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bench import machine, plots, seed
from bench.load import load, require_wrk
from bench.program import RESULTS, print_progress, run
from bench.workers import MB, ResourceUsage, leak_limit, resource_usage
from tests.support.tiers import Tiers, running

PRODUCTS = 1_000
SECONDS_A_RUN = 3
SAMPLE_EVERY_S = 0.5


@dataclass(frozen=True)
class Sample(ResourceUsage):
    """The resources of one worker when the log had `orders` orders."""

    orders: int


def main() -> int:
    """Measures, writes the report, and returns 1 when a worker leaks."""
    parser = argparse.ArgumentParser(prog="bench.memory", description=__doc__.partition("\n\n")[0])
    parser.add_argument("--buys", type=int, default=100_000, help="how many, at least (default 100,000)")
    parser.add_argument("--clients", type=int, default=32, help="connections (default 32)")
    options = parser.parse_args()
    if options.buys < 1 or options.clients < 1:
        parser.error("--buys and --clients are at least 1")
    require_wrk()
    RESULTS.mkdir(parents=True, exist_ok=True)
    return report(measure(options.buys, options.clients), options.buys)


def measure(buys: int, clients: int) -> dict[str, list[Sample]]:
    """Returns the samples of each worker by its label. Raises BrokenPromise."""
    with tempfile.TemporaryDirectory(dir=RESULTS, prefix="memory-") as folder:
        data_dir = Path(folder) / "data"
        seed.fill(data_dir, products=PRODUCTS, orders=0)
        with running(data_dir) as tiers:
            # A tier answers as soon as one of its workers has started. After some queries all have.
            load(tiers.url("front_end"), seed.requests("query", PRODUCTS), clients=clients, seconds=1, pids=[])
            workers = _workers(tiers)
            with _sampling(workers, data_dir) as samples:
                requests, errors = seed.requests("buy", PRODUCTS), 0
                while (ordered := seed.orders_in(data_dir)) < buys:
                    print_progress(f"{ordered:,} of {buys:,} buys")
                    run = load(tiers.url("front_end"), requests, clients=clients, seconds=SECONDS_A_RUN, pids=[])
                    errors += run.errors
                    if seed.orders_in(data_dir) == ordered:
                        raise seed.BrokenPromise(f"a whole run of {SECONDS_A_RUN} s brought no order")
            if _workers(tiers) != workers:
                raise seed.BrokenPromise(f"a worker was replaced on the way: {tiers.log.read_text()}")
            if errors:
                raise seed.BrokenPromise(f"{errors} buys ended in an error")
            seed.check(data_dir)
    return samples


def _workers(tiers: Tiers) -> dict[str, int]:
    """Returns the process id of each worker by its label."""
    return {f"{name} {number}": pid for name in tiers.ports for number, pid in enumerate(tiers.workers(name), start=1)}


@contextmanager
def _sampling(workers: Mapping[str, int], data_dir: Path) -> Iterator[dict[str, list[Sample]]]:
    """Samples all workers from before the block to its end. Raises BrokenPromise when a worker ends."""
    samples: dict[str, list[Sample]] = {name: [] for name in workers}
    ending = Event()

    def take() -> None:
        orders = seed.orders_in(data_dir)
        for name, pid in workers.items():
            samples[name].append(_sample(pid, orders))

    def take_repeatedly() -> None:
        while not ending.wait(SAMPLE_EVERY_S):
            take()

    try:
        take()
        with ThreadPoolExecutor(1) as pool:
            taking = pool.submit(take_repeatedly)
            try:
                yield samples
            finally:
                ending.set()
        taking.result()  # raises its failure
        time.sleep(1)  # time to close the connections of the load
        take()
    except (FileNotFoundError, ProcessLookupError) as error:
        raise seed.BrokenPromise(f"a worker ended on the way: {error}") from error


def _sample(pid: int, orders: int) -> Sample:
    """Returns a sample of one worker now."""
    return Sample(**asdict(resource_usage(pid)), orders=orders)


@dataclass(frozen=True)
class Row:
    """One worker: its memory after a fifth of the buys, at the end and at most, and its other resources."""

    worker: str
    settled_mb: float
    last_mb: float
    most_mb: float
    allowed_mb: float
    most_threads: int
    most_descriptors: int
    last_descriptors: int

    @property
    def grows(self) -> bool:
        return self.last_mb > self.allowed_mb


def row(worker: str, samples: Sequence[Sample], fifth: int) -> Row:
    """Summarizes the samples of one worker."""
    settled = next(sample.memory for sample in samples if sample.orders >= fifth)
    return Row(
        worker=worker,
        settled_mb=round(settled / MB, 3),
        last_mb=round(samples[-1].memory / MB, 3),
        most_mb=round(max(sample.memory for sample in samples) / MB, 3),
        allowed_mb=round(leak_limit(settled) / MB, 3),
        most_threads=max(sample.threads for sample in samples),
        most_descriptors=max(sample.descriptors for sample in samples),
        last_descriptors=samples[-1].descriptors,
    )


def report(samples: Mapping[str, Sequence[Sample]], buys: int) -> int:
    """Prints the table, writes memory.json, .md and .png, and returns the exit code."""
    fifth = buys // 5
    rows = [row(name, line, fifth) for name, line in samples.items()]
    growing = [one.worker for one in rows if one.grows]
    verdict = f"Growing: {', '.join(growing)}." if growing else "No worker keeps growing."
    orders = max(line[-1].orders for line in samples.values())
    ending = [f"After {orders:,} buys. {verdict}", machine.line() + "."]
    text = "\n\n".join([table(rows, fifth), *ending]) + "\n"
    print(text)
    facts = {
        "about": machine.about(), "settled_after": fifth, "orders": orders, "growing": growing,
        "workers": [asdict(one) for one in rows],
    }  # fmt: skip
    (RESULTS / "memory.json").write_text(json.dumps(facts, indent=2) + "\n")
    (RESULTS / "memory.md").write_text("# The workers' memory over many buys (`make bench-memory`)\n\n" + text)
    plots.save(draw(samples, fifth), RESULTS / "memory")
    return 1 if growing else 0


def table(rows: Sequence[Row], fifth: int) -> str:
    """Returns the rows as a Markdown table."""
    lines = [
        f"| worker | MB after {fifth:,} buys | at the end | growth | most | allowed at the end | threads "
        "| file descriptors |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for one in rows:
        growth = f"{(one.last_mb / one.settled_mb - 1) * 100:+.1f} %"
        memory = f"{one.settled_mb:.1f} | {one.last_mb:.1f} | {growth} | {one.most_mb:.1f} | {one.allowed_mb:.1f}"
        descriptors = f"{one.most_descriptors} at most, {one.last_descriptors} at the end"
        lines.append(f"| {one.worker} | {memory} | {one.most_threads} at most | {descriptors} |")
    return "\n".join(lines)


def draw(samples: Mapping[str, Sequence[Sample]], fifth: int) -> Figure:
    """Draws memory, threads and file descriptors of each worker over the buys."""
    figure, [axes] = plots.panels(1, 3, width_in=12, height_in=4.5)
    for color, marker, (name, line) in zip(cycle(plots.COLORS), cycle(plots.MARKERS), samples.items()):
        orders = [sample.orders for sample in line]
        figures: tuple[Sequence[float], ...] = (
            [sample.memory / MB for sample in line],
            [sample.threads for sample in line],
            [sample.descriptors for sample in line],
        )
        for panel, values in zip(axes, figures, strict=True):
            panel.plot(orders, values, color=color, marker=marker, markersize=3, label=name)
    for panel, title in zip(axes, ("resident memory, MB", "threads", "file descriptors"), strict=True):
        panel.set_ylabel(title)
        panel.set_xlabel("buys so far")
        panel.set_ylim(bottom=0)
        panel.yaxis.set_major_locator(MaxNLocator(integer=True))
        panel.xaxis.set_major_formatter("{x:,.0f}")
        panel.axvline(fifth, color=plots.GREY, linestyle=":", linewidth=1)
    axes[0].legend()
    figure.suptitle("The workers over many buys")
    plots.caption(figure, f"The end of each line is compared with its value after {fifth:,} buys (the dotted line).")
    return figure


if __name__ == "__main__":
    run(main)
