"""Connections and transactions: one connection a thread, one way to write.

apsw brings its own SQLite, newer than the system's: releases before 3.51.3 can corrupt a database in WAL mode
(https://sqlite.org/wal.html, "the WAL-reset bug"). Never open the same file with the standard library's sqlite3 in
this process: closing one of its descriptors drops the locks of the other.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import apsw

from domain.errors import Unavailable

OLDEST_SAFE_SQLITE = (3, 51, 3)
BUSY_TIMEOUT_MS = 1_000
# The first query of a worker waits for it in the one thread that serves all connections.
SETTLE_PATIENCE_S = 0.05

# The machine's troubles, not the buyer's: the transaction did not happen as far as we know, and may work later.
TROUBLE = (apsw.FullError, apsw.IOError, apsw.CantOpenError, apsw.ReadOnlyError, apsw.ProtocolError, apsw.NoMemError)

_log = logging.getLogger(__name__)


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
    """A connection at full durability. The busy timeout comes first: the pragmas behind it may have to wait."""
    connection = apsw.Connection(str(path))
    try:
        connection.set_busy_timeout(busy_timeout_ms)
        _patiently(lambda: connection.execute("PRAGMA journal_mode = WAL").fetchall(), busy_timeout_ms / 1000)
        connection.execute("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON").fetchall()
        connection.set_busy_timeout(0)  # a checkpoint that waits for readers would keep the writers out
        settle_log(connection)
        connection.set_busy_timeout(busy_timeout_ms)
        # SQLite's own lower() knows ASCII only. For queries, never for the schema: other programs read that too.
        connection.create_scalar_function("casefold", _casefold, 1, deterministic=True)
    except BaseException:
        give_up(connection)
        raise
    return connection


def give_up(connection: apsw.Connection) -> None:
    """Close it, whatever the disk says. The last connection of a file checkpoints as it closes, which may fail."""
    with suppress(*TROUBLE):
        connection.close(True)


def settle_log(connection: apsw.Connection) -> None:
    """Bring what the write-ahead log has into the database, synced, and empty the log, if nobody is at work on it.

    A commit that a killed process had written, but not synced, counts for SQLite. Nobody may be told of it before it is
    safe from a power loss. To sync the log is not enough: a disk reports a failed sync once, and what that should have
    covered is still read, and may be lost all the same, while the next sync says nothing of it. After a power loss the
    log could then end in the middle, and hide what is newer in the database. So to sync it is only what is left when it
    cannot be emptied.
    """
    with suppress(apsw.BusyError, apsw.FullError):  # others are at work on it, or there is no room in the database
        _patiently(lambda: connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE), SETTLE_PATIENCE_S)
    # SQLite syncs neither that the log is empty nor that an older one is deleted. The log has none of SQLite's locks,
    # which closing it would drop.
    log = Path(connection.filename_wal)
    try:
        sync(log)
        sync(log.parent)
    except OSError as error:
        raise apsw.IOError(str(error)) from error


def sync(path: Path) -> None:
    """Wait until this file or folder is on the disk. Never for a database in use: closing it drops its locks."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _patiently(step: Callable[[], object], timeout_s: float) -> None:
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


def run(connection: apsw.Connection, sql: str, values: Mapping[str, Any]) -> list[Any]:
    """Run one statement; all its rows. All, because a cursor left half read makes COMMIT fail and stops checkpoints."""
    return connection.execute(sql, values).fetchall()


def _casefold(*text: Any) -> str:
    return str(text[0]).casefold()


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


class _Thread(threading.local):
    connection: apsw.Connection | None = None


class Database:
    """One SQLite file. Threads share the object, never a connection; each opens its own at its first use."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._thread = _Thread()

    @contextmanager
    def write(self) -> Iterator[apsw.Connection]:
        """One `transaction`. Raises Unavailable when the lock is not free in time or the disk fails."""
        with self._trouble_is_unavailable():
            connection = self._connection()
            with transaction(connection):
                yield connection

    @contextmanager
    def read(self) -> Iterator[apsw.Connection]:
        """A connection for one SELECT, which is a snapshot by itself. Raises Unavailable like `write`."""
        with self._trouble_is_unavailable():
            yield self._connection()

    def require_writable(self) -> None:
        """Write a page, as a buy would, that changes nothing. Raises Unavailable like `write`."""
        with self.write() as connection:
            # SQLite writes the file's first page for it, though the number is the same.
            connection.pragma("user_version", connection.pragma("user_version"))

    def close(self) -> None:
        """Close this thread's connection. It opens again at the next use."""
        connection, self._thread.connection = self._thread.connection, None
        if connection is not None:
            give_up(connection)

    def _connection(self) -> apsw.Connection:
        if self._thread.connection is None:
            self._thread.connection = connect(self.path)
        return self._thread.connection

    @contextmanager
    def _trouble_is_unavailable(self) -> Iterator[None]:
        try:
            yield
        except apsw.BusyError as error:
            raise Unavailable(retry_after_s=1) from error
        except TROUBLE as error:
            _log.error("%s: %s", self.path, error)
            # What this connection believes of the file may be wrong after a failed write or sync: start afresh.
            self.close()
            raise Unavailable("the store cannot reach its data, try again", retry_after_s=1) from error
