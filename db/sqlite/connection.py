"""Opens connections at full durability, and runs statements and transactions on them.

apsw bundles its own SQLite, newer than the system's: releases before 3.51.3 can corrupt a database in WAL mode
(https://sqlite.org/wal.html, "the WAL-reset bug"). Never open the same file with the standard library's sqlite3 in
this process: when one of the two closes a file descriptor, the locks of the other are lost.
"""

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import apsw

from db.sqlite.busy_handler import wait_for_locks
from db.sqlite.errors import DAMAGE, DISK_ERRORS, NoSharedMemory, is_unsyncable_folder
from db.start import StartRefused
from domain.values import fold

OLDEST_SAFE_SQLITE = (3, 51, 3)
BUSY_TIMEOUT_MS = 1_000
# Short, because a worker opens the database in its first query, and all its clients wait for the one thread that does.
CHECKPOINT_TIMEOUT_S = 0.05

# The first commit after a checkpoint cuts the WAL to this size. It grows larger only while a long read holds up the
# checkpoints.
WAL_LIMIT_BYTES = 4 * 1024 * 1024


def require_safe_sqlite(version: str | None = None) -> None:
    """Raises StartRefused when SQLite (apsw's, or the given `version`) can lose committed rows in WAL mode."""
    version = version or apsw.sqlite_lib_version()
    if tuple(int(part) for part in version.split(".")[:3]) < OLDEST_SAFE_SQLITE:
        oldest = ".".join(map(str, OLDEST_SAFE_SQLITE))
        raise StartRefused(f"SQLite {version} can lose data in WAL mode; this store needs {oldest} or newer")


def connect(path: Path, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> apsw.Connection:
    """Opens a connection at full durability. Never creates a missing file: only a migration does.

    The busy timeout is set first, because the pragmas after it may have to wait.
    """
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        if connection.readonly("main"):
            raise apsw.ReadOnlyError("it can only be read")
        wait_for_locks(connection, busy_timeout_ms)
        _retry_while_busy(lambda: _switch_to_wal(connection), busy_timeout_ms / 1000)
        connection.execute("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON").fetchall()
        connection.execute(f"PRAGMA journal_size_limit = {WAL_LIMIT_BYTES}").fetchall()
        wait_for_locks(connection, 0)  # a checkpoint that waits for readers would block the writers
        checkpoint_wal(connection)
        wait_for_locks(connection, busy_timeout_ms)
        add_fold(connection)
    except BaseException:
        close_quietly(connection)
        raise
    return connection


def _switch_to_wal(connection: apsw.Connection) -> None:
    mode = connection.execute("PRAGMA journal_mode = WAL").get
    if mode != "wal":  # SQLite raises no error for a failed switch: it returns the old mode
        raise NoSharedMemory(f"the journal mode stays {mode}")


def close_quietly(connection: apsw.Connection) -> None:
    """Closes a connection and ignores disk errors: closing the last one of a file runs a checkpoint, which may fail."""
    with suppress(*DISK_ERRORS, *DAMAGE):
        connection.close(True)


def checkpoint_wal(connection: apsw.Connection) -> None:
    """Copies the WAL into the database, syncs the database, and empties the WAL. If it cannot, it only syncs the WAL.

    A killed process may have written a commit without syncing it. SQLite reads that commit, but no client may see it
    before it survives a power loss. A sync of the WAL is not enough, because a disk reports a failed sync only once: if
    the sync of the killed process failed, its pages can still be read and the next sync succeeds, but the pages may be
    lost. After a power loss the WAL would then end early, and its older pages would hide newer rows of the database.
    """
    with suppress(apsw.BusyError, apsw.FullError):  # other connections use it, or the disk has no room for the pages
        _retry_while_busy(lambda: connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE), CHECKPOINT_TIMEOUT_S)
    # SQLite syncs neither the truncation of a WAL nor the deletion of an older one. Opening and closing the WAL here is
    # safe, because SQLite has no locks on it.
    wal = Path(connection.filename_wal)
    try:
        sync(wal)
        sync(wal.parent)
    except OSError as error:
        raise apsw.IOError(str(error)) from error


def sync(path: Path) -> None:
    """Syncs a file or a folder to disk. A folder is skipped when its file system cannot sync folders.

    Must not be called for a database in use: to close it here would drop SQLite's locks on it.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if not is_unsyncable_folder(path, error):
            raise


def _retry_while_busy(step: Callable[[], object], timeout_s: float) -> None:
    """Retries the switch to WAL, or a checkpoint. Beside another one, each fails at once despite the busy timeout."""
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
    """Runs one statement and returns all its rows: a half-read cursor would make COMMIT fail and stop checkpoints."""
    return connection.execute(sql, values).fetchall()


def fetch_each(connection: apsw.Connection, sql: str, bindings: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Runs a statement once with each of the `bindings`, in their order, and returns the rows of all runs."""
    return connection.executemany(sql, bindings).fetchall() if bindings else []


# For the few values of a usual batch, to encode each string is faster than to encode a list.
_to_json = json.JSONEncoder().encode


def json_list(values: Iterable[str]) -> str:
    """Encodes values for json_each: one statement that looks them all up is three times as fast as one for each."""
    return f"[{','.join(map(_to_json, values))}]"


def add_fold(connection: apsw.Connection) -> None:
    """Adds the SQL function `fold` to this connection. The schema must not use it: other programs read the schema."""
    connection.create_scalar_function("fold", lambda *text: fold(str(text[0])), 1, deterministic=True)


@contextmanager
def transaction(connection: apsw.Connection) -> Iterator[None]:
    """Runs the block in a transaction that holds the write lock from its start. Any exception rolls it back.

    IMMEDIATE, because a deferred transaction that turns into a writer fails at once when another connection writes, in
    spite of the busy timeout.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # On a full disk SQLite rolls back by itself, and a second ROLLBACK would be an error.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
