"""Another program holds the write lock of a database, or a read transaction, while shoppers buy."""

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
# apsw's shell understands the same commands.
SHELL = [SQLITE3] if SQLITE3 else [sys.executable, "-m", "apsw"]
READS_FOR_S = 5.0
# SQLite checkpoints a WAL of 1,000 pages when it can.
LONG_WAL_BYTES = 1_500 * 4_120


def test_a_held_write_lock_only_delays_buys(tmp_path: Path) -> None:
    with running(tmp_path / "data", PRODUCTS=products_file(tmp_path, *PRODUCTS)) as tiers:
        with shopping(tiers) as shoppers:
            for held_s in (0.5, 3.0):
                for database in ("catalog.db", "order.db"):
                    shoppers.worst_s = 0.0
                    with shell(tiers.data_dir / database, "BEGIN IMMEDIATE;"):
                        time.sleep(held_s)
                    check_recovery(shoppers)
                    assert shoppers.worst_s > held_s / 2, "a buy waited for the lock"
        check_books_at_rest(tiers, shoppers)


def test_a_long_reader_blocks_no_buy_and_the_wal_is_checkpointed_afterwards(tmp_path: Path) -> None:
    with running(tmp_path / "data", PRODUCTS=products_file(tmp_path, *PRODUCTS)) as tiers:
        orders = tiers.data_dir / "order.db"
        wal = tiers.data_dir / "order.db-wal"
        with shopping(tiers) as shoppers:
            with shell(orders, "BEGIN; SELECT count(*) FROM orders;"):
                resets, answered, until = resets_of(wal), len(shoppers.answered), time.monotonic() + READS_FOR_S
                wait_until("the WAL is long", lambda: wal.stat().st_size > LONG_WAL_BYTES and time.monotonic() > until)
                assert resets_of(wal) == resets, "during the read transaction, the WAL can only grow"
                assert len(shoppers.answered) > answered
            check_recovery(shoppers)
            wait_until("the WAL is reset", lambda: resets_of(wal) > resets)
        assert shoppers.statuses <= {200, 404}
        check_books_at_rest(tiers, shoppers)


@contextmanager
def shell(database: Path, lines: str) -> Iterator[None]:
    """Runs these lines in a shell of SQLite, and keeps its transaction open while the block runs."""
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


def resets_of(wal: Path) -> int:
    """Reads from the WAL's header how often SQLite has restarted it, which it does after a full checkpoint."""
    with wal.open("rb") as file:
        return int.from_bytes(file.read(16)[12:])
