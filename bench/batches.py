"""Measures the databases' time for a buy by the size of its batch: `python -m bench.batches [folder]`.

One thread runs the transactions of one batch after the other, without tiers and sockets. In a folder in memory
(/dev/shm) the time is CPU time; on a disk it includes the syncs, of which a larger batch needs fewer.
"""

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import TypeVar

from bench import machine
from bench.program import run
from db.sqlite.catalog import CatalogStore
from db.sqlite.order import OrderStore
from domain.values import Buy, Product
from wsgi_apps.base import new_key

Q = TypeVar("Q")
R = TypeVar("R")

SIZES = (1, 4, 16, 64)
BATCHES = 500  # for each size
NAMES = [f"product-{number}" for number in range(1_000)]  # queries go through them in turn


class Stopwatch:
    """Measures calls. `times` has the times of each kind, in µs."""

    def __init__(self) -> None:
        self.times: dict[str, list[float]] = defaultdict(list)

    def timed(self, kind: str, call: Callable[[Q], R], questions: Q) -> R:
        """Makes the call, records its time, and returns its result."""
        begun = time.perf_counter()
        result = call(questions)
        self.times[kind].append((time.perf_counter() - begun) * 1e6)
        return result


def main() -> int:
    """Prints the times of each size of batch."""
    parser = argparse.ArgumentParser(prog="bench.batches", description=__doc__.partition("\n\n")[0])
    parser.add_argument("folder", nargs="?", default=".", help="folder for the temporary databases")
    with (
        tempfile.TemporaryDirectory(dir=parser.parse_args().folder, prefix="bench-batches-") as name,
        closing(OrderStore(Path(name, "order.db"))) as orders,
        closing(CatalogStore(Path(name, "catalog.db"))) as catalog,
    ):
        orders.migrate()
        catalog.migrate()
        catalog.load(Product(product, 2599, 1_000_000_000) for product in NAMES)
        print(machine.line())
        print("µs a buy or a query: minimum (median)")
        for size in SIZES:
            times = measure(size, orders, catalog).items()
            print(f"{size:3} at once: " + ", ".join(f"{kind} {figures(some, size)}" for kind, some in times))
    return 0


def measure(size: int, orders: OrderStore, catalog: CatalogStore) -> dict[str, list[float]]:
    """Returns the times of batches of this size by kind. All buys are of one product; queries are of many."""
    watch = Stopwatch()
    for batch in range(BATCHES):
        buys = [Buy(new_key(), NAMES[0], 1) for _ in range(size)]
        names = [NAMES[(batch * size + number) % len(NAMES)] for number in range(size)]
        watch.timed("begin", orders.begin, buys)
        sales = watch.timed("sell", catalog.sell, buys)
        watch.timed("finish", orders.finish, list(zip(buys, sales, strict=True)))
        watch.timed("look up", catalog.lookup, names)
    return watch.times


def figures(times: list[float], size: int) -> str:
    """Returns the minimum and the median of the times for one question of a batch."""
    return f"{min(times) / size:.1f} ({median(times) / size:.1f})"


if __name__ == "__main__":
    run(main)
