"""A wall clock that jumps by hours under running tiers. A preloaded C library simulates it.

It is not libfaketime: 0.9.10, of Debian 12, breaks time.sleep in Python 3.11
(https://github.com/wolfcw/libfaketime/issues/426).
"""

import struct
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.faults.preload import compile_library
from tests.faults.shopping import PRODUCTS, check_books_at_rest, check_recovery, shopping
from tests.support.books import query
from tests.support.tiers import NAMES, Tiers, products_file, running

SOURCE = Path(__file__).with_name("jumping_clock.c")
BETWEEN_JUMPS_S = 1.0


class JumpingClock:
    """The wall clock of programs that run with the variables in `environment`."""

    def __init__(self, folder: Path) -> None:
        library, self._file = compile_library(SOURCE, folder), folder / "clock"
        self._file.write_bytes(bytes(8))
        self.environment = {"LD_PRELOAD": str(library), "CLOCK_FILE": str(self._file)}

    def set_ahead(self, ahead: timedelta) -> None:
        """Lets the clock jump to the true time plus `ahead`."""
        with self._file.open("r+b") as file:
            file.write(struct.pack("q", int(ahead.total_seconds())))


def test_a_jumping_clock_changes_only_the_times_of_orders(tmp_path: Path) -> None:
    clock = JumpingClock(tmp_path)
    with running(tmp_path / "data", PRODUCTS=products_file(tmp_path, *PRODUCTS), **clock.environment) as tiers:
        workers = workers_of(tiers)
        with shopping(tiers) as shoppers:
            for ahead in (timedelta(hours=5), timedelta(hours=-7), timedelta(0), timedelta(days=400)):
                clock.set_ahead(ahead)
                check_recovery(shoppers)
                time.sleep(BETWEEN_JUMPS_S)
                measured = time_of_last_order(tiers) - datetime.now(UTC)
                assert abs(measured - ahead) < timedelta(minutes=5), "the tiers saw the jump"
        assert shoppers.statuses <= {200, 404}
        assert workers <= workers_of(tiers), "no worker was restarted"
        check_books_at_rest(tiers, shoppers)


def workers_of(tiers: Tiers) -> set[int]:
    """Returns the process ids of all workers."""
    return {worker for name in NAMES for worker in tiers.workers(name)}


def time_of_last_order(tiers: Tiers) -> datetime:
    """Returns the time of the newest order, by the clock of the order tier."""
    [(time,)] = query(tiers.data_dir / "order.db", "SELECT time FROM orders ORDER BY number DESC LIMIT 1")
    return datetime.fromisoformat(time)
