"""CPU that the databases take for a buy, by the size of its batch: `python -m bench.batches [folder]`.

No tier and no socket: the transactions of a batch one after the other, in one thread. On a folder in memory
(/dev/shm) no sync is in the figures; on a disk the time says what the syncs add.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from bench import machine
from bench.program import run
from db.catalog import CatalogStore
from db.order import OrderStore
from domain.protocols import Sale
from domain.values import Buy, Product
from wsgi_apps.base import new_key

SIZES = (1, 16, 64)
ROUNDS = 7
BUYS = 1_600  # of a round


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.batches", description=__doc__.partition("\n\n")[0])
    parser.add_argument("folder", nargs="?", default=".", help="where the databases are made and deleted again")
    with (
        tempfile.TemporaryDirectory(dir=parser.parse_args().folder, prefix="bench-batches-") as name,
        closing(OrderStore(Path(name, "order.db"))) as orders,
        closing(CatalogStore(Path(name, "catalog.db"))) as catalog,
    ):
        orders.migrate()
        catalog.migrate()
        catalog.load([Product("Tux", 2599, 1_000_000_000)])
        print(machine.line())
        print("µs a buy: CPU (time), the best of some rounds; a look-up is one name of as many")
        for size in SIZES:
            print(f"{size:4} in a batch: {line(size, orders, catalog)}")
    return 0


def line(size: int, orders: OrderStore, catalog: CatalogStore) -> str:
    """The figures of each transaction at this size."""
    best: dict[str, tuple[float, float]] = {}
    for _ in range(ROUNDS):
        for what, figures in one_round(size, orders, catalog).items():
            best[what] = min(best.get(what, figures), figures)
    return ", ".join(f"{what} {cpu_us:.1f} ({time_us:.1f})" for what, (cpu_us, time_us) in best.items())


def one_round(size: int, orders: OrderStore, catalog: CatalogStore) -> dict[str, tuple[float, float]]:
    """Microseconds a buy of CPU and of time, by transaction."""
    batches = [[Buy(new_key(), "Tux", 1) for _ in range(size)] for _ in range(BUYS // size)]
    sales: list[Sequence[Sale]] = []
    return {
        "begin": us_each(lambda: [orders.write([(buy, None) for buy in batch]) for batch in batches]),
        "sell": us_each(lambda: sales.extend(catalog.sell(batch) for batch in batches)),
        "finish": us_each(
            lambda: [
                orders.write(list(zip(batch, sold, strict=True))) for batch, sold in zip(batches, sales, strict=True)
            ]
        ),
        "look up": us_each(lambda: [catalog.lookup([buy.product for buy in batch]) for batch in batches]),
    }


def us_each(work: Callable[[], object]) -> tuple[float, float]:
    begun, cpu_begun = time.perf_counter(), time.process_time()
    work()
    return (time.process_time() - cpu_begun) / BUYS * 1e6, (time.perf_counter() - begun) / BUYS * 1e6


if __name__ == "__main__":
    run(main)
