"""Measures the copies between SQLite and PostgreSQL: `make bench-copies`.

A store with 1,000,000 orders goes to PostgreSQL by `python -m admin copy-in`, and comes back by `copy-out`: alone, and
while shoppers buy a few popular products. Time and peak memory of each are measured, and the latency of the buys:
before, while the copy holds its snapshot, while it builds its files, and after. All run on one machine. The exit code
is 1 when the copy differs from the store, or a promise is broken.
"""

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median, quantiles

import psycopg

from bench import machine, seed
from bench.program import RESULTS, print_progress, run
from bench.seed import BrokenPromise
from bench.workers import MB, resource_usage
from conf.embedded_postgres import EmbeddedPostgres
from db.postgres.catalog import CatalogStore
from db.postgres.database import Database
from db.postgres.order import OrderStore
from domain.checkout import Checkout
from domain.values import Buy
from tests.support.books import query
from tests.support.tiers import free_port

PRODUCTS = 1_000
POPULAR = 10  # products that are bought meanwhile: each sale leaves an old version of their rows
SHOPPERS = 8
QUIET_S = 15.0  # of buys without a copy, before and after


@dataclass(frozen=True)
class Copy:
    """A copy: its time, and the most memory of its process."""

    command: str
    seconds: float
    memory_mb: float
    bytes: int  # of the two files


@dataclass(frozen=True)
class Span:
    """The buys that were answered within a span of time."""

    name: str
    seconds: float
    buys_per_s: float
    median_ms: float
    p99_ms: float


def main() -> int:
    """Measures and writes the report."""
    parser = argparse.ArgumentParser(prog="bench.copies", description=__doc__.partition("\n\n")[0])
    parser.add_argument("--orders", type=int, default=1_000_000, help="orders of the store (default 1,000,000)")
    options = parser.parse_args()
    if options.orders < 1:
        parser.error("--orders is at least 1")
    RESULTS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=RESULTS, prefix="copies-") as folder:
        copies, spans = measure(Path(folder), options.orders)
    report(copies, spans, options.orders)
    return 0


def measure(folder: Path, orders: int) -> tuple[list[Copy], list[Span]]:
    """Returns the copies, and the latencies of the buys beside the last one. Raises BrokenPromise."""
    print_progress(f"{orders:,} orders are being written")
    store = folder / "store"
    seed.fill(store, products=PRODUCTS, orders=orders)
    # A folder that the server's user can reach, when this program runs as root.
    server = EmbeddedPostgres(Path(tempfile.mkdtemp(prefix="toystore-bench-")), is_temporary=True)
    server.start()
    try:
        address = server.address()
        copies = [copy("copy-in", store, address), copy("copy-out", folder / "alone", address)]
        require_equal(store, folder / "alone")
        with shopping(address) as latencies, snapshots(address) as held:
            time.sleep(QUIET_S)
            begun_s = time.monotonic()
            copies.append(copy("copy-out", folder / "beside", address))
            ended_s = time.monotonic()
            time.sleep(QUIET_S)
    finally:
        server.stop()
    copies[-1] = Copy("copy-out, beside buys", *list(asdict(copies[-1]).values())[1:])
    if not held:
        raise BrokenPromise("no snapshot of the copy was seen")
    snapshot_s = min(held), max(held)
    spans = [
        span("before", latencies, begun_s - QUIET_S, begun_s),
        span("the copy holds its snapshot", latencies, *snapshot_s),
        span("the copy builds and audits its files", latencies, snapshot_s[1], ended_s),
        span("after", latencies, ended_s, ended_s + QUIET_S),
    ]
    return copies, spans


def copy(command: str, folder: Path, address: str) -> Copy:
    """Runs a command of the owner's program. Raises BrokenPromise when it fails, or finds a discrepancy."""
    print_progress(command)
    # No tier runs at these ports, whatever else runs on this machine.
    binds = {f"{tier}_BIND": f"127.0.0.1:{free_port()}" for tier in ("CATALOG", "ORDER")}
    environ = {**os.environ, **binds, "CATALOG_DATABASE": address, "ORDER_DATABASE": address}
    begun_s = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "admin", command, str(folder)], env=environ, stdout=subprocess.DEVNULL
    )
    # The kernel's own record of the peak, ru_maxrss, would begin with the memory of this process.
    memory = 0
    while process.poll() is None:
        with suppress(FileNotFoundError, ProcessLookupError):
            memory = max(memory, resource_usage(process.pid).memory)
        time.sleep(0.05)
    if process.returncode != 0:
        raise BrokenPromise(f"{command} ended with {process.returncode}")
    seconds = time.monotonic() - begun_s
    size = sum((folder / name).stat().st_size for name in ("catalog.db", "order.db"))
    return Copy(command, round(seconds, 1), round(memory / MB), size)


def require_equal(store: Path, copied: Path) -> None:
    """Raises BrokenPromise unless the copy has the rows of the store."""
    for name, table in (("catalog.db", "stock_ledger"), ("order.db", "orders")):
        sql = f"SELECT * FROM {table} ORDER BY 1"
        if query(store / name, sql) != query(copied / name, sql):
            raise BrokenPromise(f"{name} has other rows than before")


Latency = tuple[float, float]  # when a buy was answered (monotonic clock), and after how long; in seconds


@contextmanager
def shopping(address: str) -> Iterator[list[Latency]]:
    """Lets shoppers buy in a process of their own, until the end of the block. Then yields their latencies."""
    latencies: list[Latency] = []
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=shop, args=(address, theirs), daemon=True)
    process.start()
    ours.recv()  # they buy
    try:
        yield latencies
    finally:
        ours.send("stop")
        latencies += ours.recv()
        process.join()


def shop(address: str, pipe: Connection) -> None:
    """Buys until the other end of the pipe sends something, and then sends the latencies."""
    catalog, log = Database(address, "catalog"), Database(address, "log")
    checkout = Checkout(OrderStore(log), CatalogStore(catalog))
    ending = threading.Event()
    latencies: list[Latency] = []

    def buy() -> None:
        while not ending.is_set():
            key = uuid.uuid4().hex
            begun_s = time.monotonic()
            checkout.place(Buy(key, seed.product_name(int(key, 16) % POPULAR), 1))
            ended_s = time.monotonic()
            latencies.append((ended_s, ended_s - begun_s))

    threads = [threading.Thread(target=buy) for _ in range(SHOPPERS)]
    for thread in threads:
        thread.start()
    pipe.send("shopping")
    pipe.recv()
    ending.set()
    for thread in threads:
        thread.join()
    pipe.send(latencies)


@contextmanager
def snapshots(address: str) -> Iterator[list[float]]:
    """Yields the times (monotonic clock) between which the copy's transaction was seen."""
    seen: list[float] = []
    ending = threading.Event()
    sql = """
        SELECT extract(epoch FROM clock_timestamp() - xact_start)::float8 FROM pg_stat_activity
        WHERE query LIKE 'COPY (SELECT %' AND state <> 'idle'"""

    def watch() -> None:
        with psycopg.connect(address, autocommit=True) as connection:
            while not ending.wait(0.05):
                for (age_s,) in connection.execute(sql).fetchall():
                    seen.extend((time.monotonic() - age_s, time.monotonic()))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        ending.set()
        thread.join()


def span(name: str, latencies: Sequence[Latency], begin_s: float, end_s: float) -> Span:
    """Summarizes the buys that were answered between two times."""
    within = [latency for ended_s, latency in latencies if begin_s <= ended_s < end_s]
    if len(within) < 100:
        raise BrokenPromise(f"{name}: {len(within)} buys are too few")
    p99 = quantiles(within, n=100)[98]
    return Span(
        name=name,
        seconds=round(end_s - begin_s, 1),
        buys_per_s=round(len(within) / (end_s - begin_s)),
        median_ms=round(median(within) * 1000, 1),
        p99_ms=round(p99 * 1000, 1),
    )


def report(copies: Sequence[Copy], spans: Sequence[Span], orders: int) -> None:
    """Prints the tables, and writes copies.json and copies.md."""
    lines = [
        f"# Copies of a store with {orders:,} orders (`make bench-copies`)",
        "",
        "| command | seconds | most memory, MB | both files, MB |",
        "|---|---:|---:|---:|",
        *(f"| {one.command} | {one.seconds} | {one.memory_mb:.0f} | {one.bytes / MB:.0f} |" for one in copies),
        "",
        f"{SHOPPERS} shoppers bought {POPULAR} products beside the last copy, on the same cores:",
        "",
        "| meanwhile | seconds | buys/s | median, ms | p99, ms |",
        "|---|---:|---:|---:|---:|",
        *(f"| {one.name} | {one.seconds} | {one.buys_per_s:,} | {one.median_ms} | {one.p99_ms} |" for one in spans),
        "",
        machine.line() + ".",
    ]
    text = "\n".join(lines) + "\n"
    print(text)
    facts = {
        "about": machine.about(), "orders": orders, "copies": [asdict(one) for one in copies],
        "spans": [asdict(one) for one in spans],
    }  # fmt: skip
    (RESULTS / "copies.json").write_text(json.dumps(facts, indent=1) + "\n")
    (RESULTS / "copies.md").write_text(text)


if __name__ == "__main__":
    run(main)
