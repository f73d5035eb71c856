"""Measures the memory of each tier while the desk exports all orders as CSV: `make bench-csv-export`.

The log has 1,000,000 orders, and others buy during the export. A worker's peak after the export is compared with its
peak after an export of 10,000 orders: one that ends more than 10 % + 5 MB above that keeps rows. The exit code is 1
then, and when an order is missing, twice or out of its place, or a promise is broken.
"""

import argparse
import json
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import requests

from bench import machine, seed
from bench.program import RESULTS, print_progress, run
from bench.seed import BrokenPromise
from bench.workers import MB, leak_limit
from tests.support.exports import export_orders, peak_memory
from tests.support.tiers import Tiers, running

FIRST = 10_000  # rows of the export before, after which a worker has all the memory that it needs
SECRET = "the-secret-of-the-owner-in-this-bench"
TIERS = ("back_office", "order", "catalog")


@dataclass(frozen=True)
class Peak:
    """The most memory of a tier's worker, in bytes: after the short export, and after the whole one."""

    tier: str
    before: int
    after: int

    @property
    def is_flat(self) -> bool:
        """Whether the worker kept no rows."""
        return self.after <= leak_limit(self.before)


@dataclass(frozen=True)
class Export:
    """An export of all orders. `bought` counts the orders that others placed meanwhile."""

    rows: int
    seconds: float
    bought: int
    peaks: list[Peak]


def main() -> int:
    """Measures, writes the report, and returns 1 when a worker's memory grew."""
    parser = argparse.ArgumentParser(prog="bench.csv_export", description=__doc__.partition("\n\n")[0])
    parser.add_argument("--orders", type=int, default=1_000_000, help="rows, at least 10,000 (default 1,000,000)")
    options = parser.parse_args()
    if options.orders < FIRST:
        parser.error(f"--orders is at least {FIRST:,}")
    RESULTS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=RESULTS, prefix="csv-export-") as folder:
        export = measure(Path(folder) / "data", options.orders)
    return report(export)


def measure(data_dir: Path, orders: int) -> Export:
    """Returns the figures of an export of this many orders. Raises BrokenPromise."""
    print_progress(f"{orders:,} orders are being written")
    products = orders // FIRST  # each has FIRST orders
    seed.fill(data_dir, products=products, orders=products * FIRST)
    with running(data_dir, OWNER_SECRET=SECRET) as tiers:
        tiers.start("back_office")
        require_numbers(list(read_numbers(tiers, f"?product={seed.product_name(0)}")), FIRST)
        before = peaks(tiers)
        with buying(tiers) as bought:
            started = time.monotonic()
            numbers = list(read_numbers(tiers))
            seconds = time.monotonic() - started
        # Orders that end before the first page is read are in the file.
        require_numbers([number for number in numbers if number < products * FIRST], products * FIRST)
        after = peaks(tiers)
    seed.check(data_dir)
    return Export(len(numbers), seconds, len(bought), [Peak(tier, before[tier], after[tier]) for tier in TIERS])


def read_numbers(tiers: Tiers, query: str = "") -> Iterator[int]:
    """Yields the number of each order of an export."""
    return (int(row[1]) for row in export_orders(tiers, SECRET, query))


def require_numbers(numbers: list[int], count: int) -> None:
    """Raises BrokenPromise unless these are so many numbers, each less than the one before it."""
    if len(numbers) != count or any(number <= following for number, following in pairwise(numbers)):
        raise BrokenPromise(f"the export of {count:,} orders has {len(numbers):,} rows, or not in their order")


def peaks(tiers: Tiers) -> Mapping[str, int]:
    """Returns the peak of each tier's worker, in bytes."""
    return {tier: peak_memory(tiers.workers(tier)[0]) for tier in TIERS}


@contextmanager
def buying(tiers: Tiers) -> Iterator[list[int]]:
    """Buys without a pause during the block. Yields the status of each buy."""
    statuses: list[int] = []
    stopped = threading.Event()

    def buy() -> None:
        with requests.Session() as session:
            while not stopped.is_set():
                statuses.append(
                    session.post(f"{tiers.url('front_end')}/{seed.product_name(1)}/1", timeout=30).status_code
                )

    thread = threading.Thread(target=buy)
    thread.start()
    try:
        yield statuses
    finally:
        stopped.set()
        thread.join()


def report(export: Export) -> int:
    """Writes the table and the facts. Returns 1 when a worker's memory grew."""
    facts = {
        "about": machine.about(),
        "rows": export.rows,
        "seconds": round(export.seconds, 1),
        "bought_meanwhile": export.bought,
        "peaks": [asdict(peak) for peak in export.peaks],
    }
    (RESULTS / "csv_export.json").write_text(json.dumps(facts, indent=1) + "\n")
    lines = [
        f"{export.rows:,} orders in {export.seconds:.0f} s, beside {export.bought:,} buys.",
        "",
        f"| worker | peak after {FIRST:,} rows, MB | peak after {export.rows:,} rows, MB | flat |",
        "| --- | --- | --- | --- |",
    ]
    for peak in export.peaks:
        lines.append(
            f"| {peak.tier} | {peak.before / MB:.1f} | {peak.after / MB:.1f} | {'yes' if peak.is_flat else 'no'} |"
        )
    lines += ["", machine.line() + "."]
    (RESULTS / "csv_export.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))
    return 0 if all(peak.is_flat for peak in export.peaks) else 1


if __name__ == "__main__":
    run(main)
