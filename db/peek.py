"""Opens a database to look at it, and leaves it and the files beside it as they are."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import apsw

from db.busy_handler import wait_for_locks
from db.copies import copied_with_journal

_BUSY_TIMEOUT_MS = 5_000


@contextmanager
def peek(path: Path) -> Iterator[apsw.Connection | None]:
    """A connection that leaves the database as it is; None for one that is not made yet.

    Raises apsw.Error for a file that cannot be read.
    """
    if is_new(path):
        yield None
        return
    path = path.resolve()  # SQLite keeps the companions where a link leads
    if size_of(path.with_name(f"{path.name}-journal")):
        with copied_with_journal(path) as copy, _opened(copy) as connection:
            yield connection
        return
    with _opened(path) as connection:
        yield connection


@contextmanager
def _opened(path: Path) -> Iterator[apsw.Connection]:
    # Who may only read would leave behind the companions that opening a database in WAL mode makes.
    with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)) as connection:
        wait_for_locks(connection, _BUSY_TIMEOUT_MS)
        if size_of(wal_of(path)):  # what a crash left in it stays there
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        connection.pragma("query_only", True)
        yield connection


def is_new(path: Path) -> bool:
    """Whether no database is made there yet: there is no file, or an empty one."""
    return not path.exists() or (path.is_file() and not size_of(path))


def wal_of(path: Path) -> Path:
    """The write-ahead log of the database at `path`, of which links must be resolved."""
    return path.with_name(f"{path.name}-wal")


def size_of(path: Path) -> int:
    """The bytes of a file; 0 when there is none."""
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0
