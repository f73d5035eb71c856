"""Holds the write lock of a SQLite database against the catalog tier."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from tests.support.tiers import Tiers, open_files
from tests.support.waiting import wait_until


@contextmanager
def write_lock(database: Path) -> Iterator[Callable[[], None]]:
    """Holds the write lock until the block ends, or calls the yielded function."""
    connection = apsw.Connection(str(database))
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield lambda: connection.execute("ROLLBACK").close()
    finally:
        connection.close()


def wait_until_a_buy_waits_for_the_lock(tiers: Tiers) -> None:
    """Waits until the catalog's only worker has the database open twice: a second thread has begun to sell."""

    def is_waiting() -> bool:
        [worker] = tiers.workers("catalog")
        return sum(name.endswith("catalog.db") for name in open_files(worker)) > 1

    wait_until("a buy waits for the write lock", is_waiting)
