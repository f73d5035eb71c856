"""Opens a database for reading, and leaves it and the files beside it unchanged."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import apsw

from db.sqlite.busy_handler import wait_for_locks
from db.sqlite.copies import copied_with_journal

# A reader waits only while another process creates, migrates or recovers the file.
READ_TIMEOUT_MS = 5_000


@contextmanager
def open_read_only(path: Path) -> Iterator[apsw.Connection | None]:
    """Yields a connection that changes nothing, or None when the file is missing or empty.

    Raises apsw.Error for a file that cannot be read.
    """
    if is_missing_or_empty(path):
        yield None
        return
    path = path.resolve()  # SQLite keeps the -wal and -journal files beside the target of a link
    if file_size(path.with_name(f"{path.name}-journal")):
        with copied_with_journal(path) as copy, _open(copy) as connection:
            yield connection
        return
    with _open(path) as connection:
        yield connection


@contextmanager
def _open(path: Path) -> Iterator[apsw.Connection]:
    with closing(connect_query_only(path)) as connection:
        if file_size(wal_path(path)):  # a crash left it: no checkpoint when this connection closes
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        yield connection


def connect_query_only(path: Path, busy_timeout_ms: int = READ_TIMEOUT_MS) -> apsw.Connection:
    """Opens a connection that cannot write. Closing it may run a checkpoint.

    Its flag is not READONLY: opening a database in WAL mode creates -wal and -shm, which a READONLY connection could
    not delete again.
    """
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    wait_for_locks(connection, busy_timeout_ms)
    connection.pragma("query_only", True)
    return connection


def is_missing_or_empty(path: Path) -> bool:
    """Whether no database has been made at `path` yet."""
    return not path.exists() or (path.is_file() and not file_size(path))


def wal_path(path: Path) -> Path:
    """Returns the path of the write-ahead log of the database at `path`. Links in `path` must be resolved."""
    return path.with_name(f"{path.name}-wal")


def file_size(path: Path) -> int:
    """Returns the size of a file in bytes; 0 when it is missing."""
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0
