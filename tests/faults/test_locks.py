"""Somebody else at the databases: one who keeps the write lock, and one who reads and reads."""

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.shopping import PRODUCTS, check_books_at_rest, check_recovery, shopping
from tests.support.tiers import products_file, running
from tests.support.waiting import wait_until

SQLITE3 = shutil.which("sqlite3")
# apsw's shell understands the same.
SHELL = [SQLITE3] if SQLITE3 else [sys.executable, "-m", "apsw"]
READS_FOR_S = 5.0
# SQLite checkpoints a log of 1,000 pages, if it can.
LONG_LOG_BYTES = 1_500 * 4_120


def test_a_write_lock_that_another_keeps_costs_time_and_nothing_else(tmp_path: Path) -> None:
    with running(tmp_path / "data", PRODUCTS=products_file(tmp_path, *PRODUCTS)) as tiers:
        with shopping(tiers) as shoppers:
            for held_s in (0.5, 3.0):
                for database in ("catalog.db", "order.db"):
                    shoppers.worst_s = 0.0
                    with shell(tiers.data_dir / database, "BEGIN IMMEDIATE;"):
                        time.sleep(held_s)
                    check_recovery(shoppers)
                    assert shoppers.worst_s > held_s / 2, "the lock was felt"
        check_books_at_rest(tiers, shoppers)


def test_a_long_reader_stops_no_buy_and_its_log_is_taken_in_afterwards(tmp_path: Path) -> None:
    with running(tmp_path / "data", PRODUCTS=products_file(tmp_path, *PRODUCTS)) as tiers:
        orders = tiers.data_dir / "order.db"
        log = tiers.data_dir / "order.db-wal"
        with shopping(tiers) as shoppers:
            with shell(orders, "BEGIN; SELECT count(*) FROM orders;"):
                rounds, answered, ends = rounds_of(log), len(shoppers.answered), time.monotonic() + READS_FOR_S
                wait_until("the log is long", lambda: log.stat().st_size > LONG_LOG_BYTES and time.monotonic() > ends)
                assert rounds_of(log) == rounds, "while it reads, the log can only grow"
                assert len(shoppers.answered) > answered
            check_recovery(shoppers)
            wait_until("the log begins anew", lambda: rounds_of(log) > rounds)
        assert shoppers.statuses <= {200, 404}
        check_books_at_rest(tiers, shoppers)


@contextmanager
def shell(database: Path, lines: str) -> Iterator[None]:
    """A shell that has run these lines and, after the block, rolls back and ends."""
    process = subprocess.Popen([*SHELL, str(database)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write(f".timeout 5000\n{lines}\n.print ready\n")
        process.stdin.flush()
        while process.stdout.readline() != "ready\n":
            assert process.poll() is None
        yield
    finally:
        process.communicate("ROLLBACK;\n.quit\n", timeout=60)


def rounds_of(log: Path) -> int:
    """How often the log was begun anew: that happens once all of it has been taken into the database."""
    with log.open("rb") as file:
        return int.from_bytes(file.read(16)[12:])
