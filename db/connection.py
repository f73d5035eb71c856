"""Connections and transactions: how a database is opened, and the one way to write.

apsw brings its own SQLite, newer than the system's: releases before 3.51.3 can corrupt a database in WAL mode
(https://sqlite.org/wal.html, "the WAL-reset bug"). Never open the same file with the standard library's sqlite3 in
this process: closing one of its descriptors drops the locks of the other.
"""

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import apsw

from db.busy_handler import wait_for_locks
from db.errors import DAMAGE, DISK_ERRORS, NoSharedMemory, may_pass_over
from domain.values import fold

OLDEST_SAFE_SQLITE = (3, 51, 3)
BUSY_TIMEOUT_MS = 1_000
# The first query of a worker waits for it in the one thread that serves all connections.
CHECKPOINT_TIMEOUT_S = 0.05

# What the write-ahead log shrinks to at the first commit behind a checkpoint: what it has when nobody reads for long.
LOG_LIMIT_BYTES = 4 * 1024 * 1024


class StartRefused(Exception):
    """The tier must not start on this state; the message says why and what to do."""


class StartPostponed(StartRefused):
    """The tier cannot start on this state now, but may later, when the disk has room again, say."""


def require_safe_sqlite(version: str | None = None) -> None:
    """Raises StartRefused when the SQLite library (or the `version` given) can lose committed rows in WAL mode."""
    version = version or apsw.sqlite_lib_version()
    if tuple(int(part) for part in version.split(".")[:3]) < OLDEST_SAFE_SQLITE:
        oldest = ".".join(map(str, OLDEST_SAFE_SQLITE))
        raise StartRefused(f"SQLite {version} can lose data in WAL mode; this store needs {oldest} or newer")


def connect(path: Path, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> apsw.Connection:
    """A connection at full durability. A file that is missing stays so: only a migration makes one.

    The busy timeout comes first: the pragmas behind it may have to wait.
    """
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        if connection.readonly("main"):
            raise apsw.ReadOnlyError("it can only be read")
        wait_for_locks(connection, busy_timeout_ms)
        _retry_while_busy(lambda: _switch_to_wal(connection), busy_timeout_ms / 1000)
        connection.execute("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON").fetchall()
        connection.execute(f"PRAGMA journal_size_limit = {LOG_LIMIT_BYTES}").fetchall()
        wait_for_locks(connection, 0)  # a checkpoint that waits for readers would keep the writers out
        checkpoint_wal(connection)
        wait_for_locks(connection, busy_timeout_ms)
        add_fold(connection)
    except BaseException:
        close_quietly(connection)
        raise
    return connection


def _switch_to_wal(connection: apsw.Connection) -> None:
    mode = connection.execute("PRAGMA journal_mode = WAL").get
    if mode != "wal":  # how SQLite says that it has tried and cannot
        raise NoSharedMemory(f"the journal mode stays {mode}")


def close_quietly(connection: apsw.Connection) -> None:
    """Close it, whatever the disk says. The last connection of a file checkpoints as it closes, which may fail."""
    with suppress(*DISK_ERRORS, *DAMAGE):
        connection.close(True)


def checkpoint_wal(connection: apsw.Connection) -> None:
    """Bring what the write-ahead log has into the database, synced, and empty the log, if nobody is at work on it.

    A commit that a killed process had written, but not synced, counts for SQLite. Nobody may be told of it before it is
    safe from a power loss. To sync the log is not enough: a disk reports a failed sync once, and what that should have
    covered is still read, and may be lost all the same, while the next sync says nothing of it. After a power loss the
    log could then end in the middle, and hide what is newer in the database. So to sync it is only what is left when it
    cannot be emptied.
    """
    with suppress(apsw.BusyError, apsw.FullError):  # others are at work on it, or there is no room in the database
        _retry_while_busy(lambda: connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE), CHECKPOINT_TIMEOUT_S)
    # SQLite syncs neither that the log is empty nor that an older one is deleted. The log has none of SQLite's locks,
    # which closing it would drop.
    log = Path(connection.filename_wal)
    try:
        sync(log)
        sync(log.parent)
    except OSError as error:
        raise apsw.IOError(str(error)) from error


def sync(path: Path) -> None:
    """Wait until this file or folder is on the disk. Never for a database in use: closing it drops its locks.

    A folder that its file system cannot sync is passed over. A file never is.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if not may_pass_over(path, error):
            raise


def _retry_while_busy(step: Callable[[], object], timeout_s: float) -> None:
    """The switch to WAL and a checkpoint, unlike all else, fail at once when another does the same: try again."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            step()
            return
        except apsw.BusyError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def fetch_all(connection: apsw.Connection, sql: str, values: Mapping[str, Any]) -> list[Any]:
    """Run one statement; all its rows. All, because a cursor left half read makes COMMIT fail and stops checkpoints."""
    return connection.execute(sql, values).fetchall()


def fetch_each(connection: apsw.Connection, sql: str, rows: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Run one statement for each of these values, in their order; all the rows that it returns."""
    return connection.executemany(sql, rows).fetchall() if rows else []


_to_json = json.JSONEncoder().encode


def json_list(values: Iterable[str]) -> str:
    """These values as one, for json_each: a statement looks them all up, three times as fast as one after the other."""
    return f"[{','.join(map(_to_json, values))}]"


def add_fold(connection: apsw.Connection) -> None:
    """Give this connection `fold`, which SQLite lacks. For migrations, never for the schema: other programs read it."""
    connection.create_scalar_function("fold", lambda *text: fold(str(text[0])), 1, deterministic=True)


@contextmanager
def transaction(connection: apsw.Connection) -> Iterator[None]:
    """A transaction that has the write lock from its first statement and is rolled back on any exception.

    IMMEDIATE because a deferred transaction that turns into a writer fails at once when another writes, whatever
    the busy timeout.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # After a full disk SQLite has rolled back by itself; a second ROLLBACK would be an error.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
