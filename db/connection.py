"""Connections and transactions: one connection a thread, one way to write.

apsw brings its own SQLite, newer than the system's: releases before 3.51.3 can corrupt a database in WAL mode
(https://sqlite.org/wal.html, "the WAL-reset bug"). Never open the same file with the standard library's sqlite3 in
this process: closing one of its descriptors drops the locks of the other.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import apsw

from db import trouble
from db.errors import BUSY, DAMAGE, TROUBLE, NoSharedMemory, explain, may_pass_over, tell_shopper
from db.patience import wait_for_locks
from db.place import CompanionMoved, FileMoved, Place, Stamp, WrittenOver, stamp_of
from domain.errors import Unavailable
from domain.values import fold

OLDEST_SAFE_SQLITE = (3, 51, 3)
BUSY_TIMEOUT_MS = 1_000
# The first query of a worker waits for it in the one thread that serves all connections.
SETTLE_PATIENCE_S = 0.05

# What the write-ahead log shrinks to at the first commit behind a checkpoint: what it has when nobody reads for long.
LOG_LIMIT_BYTES = 4 * 1024 * 1024
# Above, somebody keeps an old state of the database open, and the log hears of it.
LARGE_LOG_BYTES = 64 * 1024 * 1024
# How long a file that was refused is not looked at again: each request would.
_REFUSED_FOR_S = 1.0


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
        _patiently(lambda: _switch_to_wal(connection), busy_timeout_ms / 1000)
        connection.execute("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON").fetchall()
        connection.execute(f"PRAGMA journal_size_limit = {LOG_LIMIT_BYTES}").fetchall()
        wait_for_locks(connection, 0)  # a checkpoint that waits for readers would keep the writers out
        settle_log(connection)
        wait_for_locks(connection, busy_timeout_ms)
        add_fold(connection)
    except BaseException:
        give_up(connection)
        raise
    return connection


def _switch_to_wal(connection: apsw.Connection) -> None:
    mode = connection.execute("PRAGMA journal_mode = WAL").get
    if mode != "wal":  # how SQLite says that it has tried and cannot
        raise NoSharedMemory(f"the journal mode stays {mode}")


def give_up(connection: apsw.Connection) -> None:
    """Close it, whatever the disk says. The last connection of a file checkpoints as it closes, which may fail."""
    with suppress(*TROUBLE, *DAMAGE):
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


_ID = "SELECT id FROM store"
_OF_STORE = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'store'"


# By which a database is known, whatever file it is in: which program's it is, and of which store.
Content = tuple[object, str | None]


def _content(connection: apsw.Connection) -> Content:
    rows = run(connection, _ID, {}) if run(connection, _OF_STORE, {}) else []
    return connection.pragma("application_id"), rows[0][0] if rows else None


@contextmanager
def _without_foreign_keys(connection: apsw.Connection) -> Iterator[None]:
    """Around a transaction, for within one SQLite does not hear of it."""
    connection.pragma("foreign_keys", False)
    try:
        yield
    finally:
        connection.pragma("foreign_keys", True)


class _Thread(threading.local):
    connection: apsw.Connection | None = None
    place: Place | None = None


class Database:
    """One SQLite file, which must be there. Threads share the object, never a connection; each opens its own at its
    first use.

    It stays with the file that it has begun with: another one under the same name may be older, so it is not used
    until the process starts anew. `require` looks at the first one and raises StartRefused when it must not be used.
    """

    def __init__(self, path: Path, require: Callable[[], object] = lambda: None) -> None:
        self.path = path
        self._require = require
        self._thread = _Thread()
        self._stamp: Stamp | None = None
        self._content: Content | None = None
        self._lost: str | None = None  # why no connection of this process can be trusted any more
        self._refusal = ""
        self._refused_until = 0.0  # monotonic clock

    @contextmanager
    def write(self, *, adds_products: bool = False) -> Iterator[apsw.Connection]:
        """One `transaction`. Raises Unavailable: the lock is not free in time, the disk fails, or the file is gone.

        For a new product that a trigger inserts, SQLite would look through the whole ledger for entries that referred
        to it before, while buys wait for the lock. So one that `adds_products` does without: the schema's own triggers
        hold the ledger to the products.
        """
        with self._trouble_is_unavailable(writing=True):
            connection = self._connection()
            with _without_foreign_keys(connection) if adds_products else nullcontext(), transaction(connection):
                yield connection
                self._watch_log(self._place().require_unmoved())
        trouble.ends(str(self.path), f"{self.path}: can be written again")

    @contextmanager
    def read(self) -> Iterator[apsw.Connection]:
        """A connection for one SELECT, which is a snapshot by itself. Raises Unavailable like `write`."""
        with self._trouble_is_unavailable(writing=False):
            connection = self._connection()
            self._place().require_there()
            yield connection
        trouble.ends(str(self.path), f"{self.path}: can be read again", writing=False)

    def require_writable(self) -> None:
        """Write a page, as a buy would, that changes nothing. Raises Unavailable like `write`."""
        with self.write() as connection:
            # SQLite writes the file's first page for it, though the number is the same.
            connection.pragma("user_version", connection.pragma("user_version"))

    def close(self) -> None:
        """Close this thread's connection. It opens again at the next use."""
        connection, self._thread.connection, self._thread.place = self._thread.connection, None, None
        if connection is not None:
            give_up(connection)

    def _connection(self) -> apsw.Connection:
        if self._lost is not None:
            raise FileMoved(self._lost)
        if self._thread.connection is None:
            self._require_known()
            connection = connect(self.path, BUSY_TIMEOUT_MS)
            try:
                place = Place(connection, self.path)
                content = _content(connection)
                self._require_same(place.stamp, content)
            except BaseException:
                give_up(connection)
                raise
            self._stamp, self._content = place.stamp, content
            self._thread.connection, self._thread.place = connection, place
        return self._thread.connection

    def _require_same(self, stamp: Stamp | None, content: Content) -> None:
        """Raises FileMoved when the open file is another than this process has begun with, or holds another store."""
        if self._content is None:
            return
        (program, store), (program_now, store_now) = self._content, content
        # An order log takes the id of its store while it is open.
        is_same_store = store is None or store_now == store
        if stamp != self._stamp or program_now != program or not is_same_store:
            raise FileMoved("it holds another database than before; restart the store, which looks at it")

    def _require_known(self) -> None:
        """Raises FileMoved for a file that must not be used, before it is open: the log beside it may be another's."""
        if time.monotonic() < self._refused_until:
            raise FileMoved(self._refusal)
        there = stamp_of(str(self.path))
        if there is None:
            return  # SQLite says so
        try:
            if self._stamp is None:
                self._require()
            elif not self.path.stat().st_size:  # SQLite would delete the log beside it, which may be the last copy
                raise FileMoved("the file was emptied; stop the store and restore a backup (python -m db restore)")
            elif there != self._stamp:
                raise FileMoved(
                    "another file has taken its place, maybe an older one; restart the store, which looks at it"
                )
        except (FileMoved, StartRefused) as error:
            self._refusal, self._refused_until = str(error), time.monotonic() + _REFUSED_FOR_S
            raise FileMoved(self._refusal) from error

    def _place(self) -> Place:
        assert self._thread.place is not None
        return self._thread.place

    def _save_log(self, error: Exception) -> None:
        """What the write-ahead log has may be nowhere else."""
        place = self._thread.place
        if place is not None and isinstance(error, CompanionMoved):
            place.rescue()
            self._lost = str(error)
        elif place is not None and isinstance(error, WrittenOver):
            place.keep_log()

    def _watch_log(self, log_bytes: int) -> None:
        subject = f"{self.path}-wal"
        if log_bytes > LARGE_LOG_BYTES:
            why = "somebody keeps an old state of the database open, in a sqlite3 shell within BEGIN, say"
            trouble.begins(subject, f"{subject}: has grown beyond {LARGE_LOG_BYTES // 2**20} MiB; {why}")
        else:
            trouble.ends(subject, f"{subject}: has shrunk again")

    @contextmanager
    def _trouble_is_unavailable(self, *, writing: bool) -> Iterator[None]:
        try:
            yield
        except BUSY as error:
            raise Unavailable(retry_after_s=1) from error
        except (FileMoved, NoSharedMemory, *TROUBLE, *DAMAGE) as error:
            self._save_log(error)
            # What this connection believes of the file may be wrong after a failed write or sync: start afresh.
            self.close()
            why = explain(self.path, error)
            trouble.begins(str(self.path), why, writing=writing)
            # A damaged page is the trouble of those who need it, all else everybody's.
            retry_after_s = None if isinstance(error, DAMAGE) else 1
            unavailable = Unavailable(tell_shopper(self.path, error), retry_after_s)
            unavailable.add_note(why)  # for the owner: a stranger reads no paths
            raise unavailable from error
