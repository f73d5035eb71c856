"""Measures what a buy costs on PostgreSQL, part by part: `make bench-postgres-cost`. It needs wrk.

The figures are CPU time, bytes of the write-ahead log (WAL) and bytes on disk: they say how large the machines of a
cluster must be (docs/scaling.md), and depend less than rates on what else this machine does.
"""

import argparse
import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import psycopg

from bench import machine
from bench.load import cpu_seconds, load, require_wrk
from bench.peers.store_postgres import PostgresStore
from bench.program import RESULTS, print_progress, run
from tests.support.tiers import NAMES

PRODUCTS_BOUGHT = 1_000
_WAL = "SELECT pg_current_wal_lsn() - '0/0'::pg_lsn"
# Without the tables of locks, which hold no state and may be emptied.
_TABLES = """
    SELECT sum(pg_total_relation_size(pg_class.oid))::bigint
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE nspname IN ('catalog', 'log') AND relkind = 'r' AND relname <> 'keys'"""
_LOCKS = "SELECT pg_total_relation_size('catalog.keys') + pg_total_relation_size('log.keys')"


@dataclass(frozen=True)
class Meters:
    """The use up to a moment: CPU time by part, and bytes."""

    cpu_s: Mapping[str, float]
    wal_bytes: int
    table_bytes: int
    lock_bytes: int


@dataclass(frozen=True)
class Cost:
    """The cost of one buy: CPU time in µs by part, and bytes."""

    buys: int
    per_second: float
    cpu_us: Mapping[str, float]
    wal_bytes: float
    table_bytes: float
    lock_bytes: float


def main() -> int:
    """Measures, and writes the report."""
    parser = argparse.ArgumentParser(prog="bench.postgres_cost", description=__doc__.partition("\n\n")[0])
    parser.add_argument("--seconds", type=int, default=20, help="length of the load (default 20)")
    parser.add_argument("--clients", type=int, default=128, help="connections (default 128)")
    options = parser.parse_args()
    if min(options.seconds, options.clients) < 1:
        parser.error("--seconds and --clients are at least 1")
    require_wrk()
    cost = measure(options.seconds, options.clients)
    report(cost, options.clients)
    return 0


def measure(seconds: int, clients: int) -> Cost:
    """Returns the cost of a buy under the load of these clients."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    store = PostgresStore()
    with tempfile.TemporaryDirectory(dir=RESULTS, prefix="cost-") as folder:
        home = Path(folder, "store")
        home.mkdir()
        try:
            store.start(home)
            requests = [store.buy(number) for number in range(PRODUCTS_BOUGHT)]
            load(
                store.url, requests, clients=clients, seconds=2, pids=store.pids
            )  # all workers and plans are warm then
            print_progress(f"{clients} clients buy for {seconds} s")
            before = read(store)
            done = load(store.url, requests, clients=clients, seconds=seconds, pids=store.pids)
            after = read(store)
            store.check()
        finally:
            store.stop()
    buys = round(done.per_second * seconds)
    return Cost(
        buys=buys,
        per_second=done.per_second,
        cpu_us={part: (after.cpu_s[part] - before.cpu_s[part]) * 1e6 / buys for part in after.cpu_s},
        wal_bytes=(after.wal_bytes - before.wal_bytes) / buys,
        table_bytes=(after.table_bytes - before.table_bytes) / buys,
        lock_bytes=(after.lock_bytes - before.lock_bytes) / buys,
    )


def read(store: PostgresStore) -> Meters:
    """Returns what has been used until now."""
    cpu_s = {name: cpu_seconds([store.master(name)]) for name in NAMES}
    cpu_s["PostgreSQL"] = cpu_seconds([store.postmaster_pid])
    with psycopg.connect(store.address, autocommit=True) as connection:
        wal, tables, locks = (int(connection.execute(sql).fetchall()[0][0]) for sql in (_WAL, _TABLES, _LOCKS))
    return Meters(cpu_s, wal, tables, locks)


def report(cost: Cost, clients: int) -> None:
    """Prints the table, and writes postgres-cost.json and postgres-cost.md."""
    rows = [(f"CPU of {part}", f"{us:,.0f} µs") for part, us in cost.cpu_us.items()]
    rows += [
        ("write-ahead log", f"{cost.wal_bytes:,.0f} B"),
        ("tables and indexes", f"{cost.table_bytes:,.0f} B"),
        ("tables of locks, which may be emptied", f"{cost.lock_bytes:,.0f} B"),
    ]
    method = f"{cost.buys:,} buys of {PRODUCTS_BOUGHT:,} products by {clients} clients, two processes a tier."
    table = "\n".join(["| of one buy | |", "|---|---:|", *(f"| {what} | {figure} |" for what, figure in rows)])
    text = "\n\n".join([method, machine.line() + ".", table]) + "\n"
    print(text)
    (RESULTS / "postgres-cost.json").write_text(json.dumps({"about": machine.about(), **asdict(cost)}, indent=2) + "\n")
    (RESULTS / "postgres-cost.md").write_text(
        "# What a buy costs on PostgreSQL (`make bench-postgres-cost`)\n\n" + text
    )


if __name__ == "__main__":
    run(main)
