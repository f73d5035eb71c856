"""One SQLite file for all threads of a process: each has a connection, and looks whether the file is still the same."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import apsw

from db import outages
from db.connection import BUSY_TIMEOUT_MS, StartRefused, close_quietly, connect, transaction
from db.errors import BUSY, DAMAGE, DISK_ERRORS, NoSharedMemory, explain, tell_shopper
from db.open_file import CompanionMoved, FileMoved, OpenFile, Stamp, WrittenOver, stamp_of
from db.pairing import id_in
from domain.errors import Unavailable

# Above, somebody keeps an old state of the database open, and the log hears of it.
LARGE_LOG_BYTES = 64 * 1024 * 1024
# How long a file that was refused is not looked at again: each request would.
_REFUSED_FOR_S = 1.0

# A database is known by this, whatever file it is in: which program's it is, and of which store.
Content = tuple[object, str | None]


def _content(connection: apsw.Connection) -> Content:
    return connection.pragma("application_id"), id_in(connection)


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
    place: OpenFile | None = None


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
        self._writing = threading.Lock()
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
            keys = _without_foreign_keys(connection) if adds_products else nullcontext()
            with self._turn(), keys, transaction(connection):
                yield connection
                self._watch_log(self._place().require_unmoved())
        outages.ends(str(self.path), f"{self.path}: can be written again")

    @contextmanager
    def read(self) -> Iterator[apsw.Connection]:
        """A connection for one SELECT, which is a snapshot by itself. Raises Unavailable like `write`."""
        with self._trouble_is_unavailable(writing=False):
            connection = self._connection()
            self._place().require_there()
            yield connection
        outages.ends(str(self.path), f"{self.path}: can be read again", writing=False)

    def require_writable(self) -> None:
        """Write a page, as a buy would, that changes nothing. Raises Unavailable like `write`."""
        with self.write() as connection:
            # SQLite writes the file's first page for it, though the number is the same.
            connection.pragma("user_version", connection.pragma("user_version"))

    def close(self) -> None:
        """Close this thread's connection. It opens again at the next use."""
        connection, self._thread.connection, self._thread.place = self._thread.connection, None, None
        if connection is not None:
            close_quietly(connection)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Threads write in turn: whoever meets another's lock at SQLite sleeps, and longer than a commit takes."""
        if not self._writing.acquire(timeout=BUSY_TIMEOUT_MS / 1000):
            raise Unavailable(retry_after_s=1)
        try:
            yield
        finally:
            self._writing.release()

    def _connection(self) -> apsw.Connection:
        if self._lost is not None:
            raise FileMoved(self._lost)
        if self._thread.connection is None:
            self._require_known()
            connection = connect(self.path, BUSY_TIMEOUT_MS)
            try:
                place = OpenFile(connection, self.path)
                content = _content(connection)
                self._require_same(place.stamp, content)
            except BaseException:
                close_quietly(connection)
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
                raise FileMoved("the file was emptied; stop the store and restore a backup (python -m admin restore)")
            elif there != self._stamp:
                raise FileMoved(
                    "another file has taken its place, maybe an older one; restart the store, which looks at it"
                )
        except (FileMoved, StartRefused) as error:
            self._refusal, self._refused_until = str(error), time.monotonic() + _REFUSED_FOR_S
            raise FileMoved(self._refusal) from error

    def _place(self) -> OpenFile:
        assert self._thread.place is not None
        return self._thread.place

    def _save_log(self, error: Exception) -> None:
        """Keep the write-ahead log: what is in it may be nowhere else."""
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
            outages.begins(subject, f"{subject}: has grown beyond {LARGE_LOG_BYTES // 2**20} MiB; {why}")
        else:
            outages.ends(subject, f"{subject}: has shrunk again")

    @contextmanager
    def _trouble_is_unavailable(self, *, writing: bool) -> Iterator[None]:
        try:
            yield
        except BUSY as error:
            raise Unavailable(retry_after_s=1) from error
        except (FileMoved, NoSharedMemory, *DISK_ERRORS, *DAMAGE) as error:
            self._save_log(error)
            # What this connection believes of the file may be wrong after a failed write or sync: start afresh.
            self.close()
            why = explain(self.path, error)
            outages.begins(str(self.path), why, writing=writing)
            # A damaged page is the trouble of those who need it, all else everybody's.
            retry_after_s = None if isinstance(error, DAMAGE) else 1
            unavailable = Unavailable(tell_shopper(self.path, error), retry_after_s)
            unavailable.add_note(why)  # for the owner: a stranger reads no paths
            raise unavailable from error
