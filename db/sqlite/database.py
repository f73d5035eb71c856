"""One SQLite file that all threads of a process use, each through a connection of its own.

Each use checks that the file is still the one that the process used first, and raises Unavailable for an error of the
disk.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import apsw

from db import outages
from db.sqlite.connection import BUSY_TIMEOUT_MS, close_quietly, connect, transaction
from db.sqlite.errors import BUSY, DAMAGE, DISK_ERRORS, NoSharedMemory, explain, explain_to_shopper
from db.sqlite.open_file import CompanionMoved, FileId, FileMoved, FileOverwritten, OpenFile, file_id
from db.sqlite.pairing import id_in
from db.start import StartRefused
from domain.errors import Unavailable

# A larger WAL means that a connection holds an old snapshot of the database. A line in the log says so.
LARGE_WAL_BYTES = 64 * 1024 * 1024
# A refused file is not checked again for this long, so that not each request checks it.
_REFUSED_FOR_S = 1.0

# The application_id of a database, and the id of its store. A copy in another file has both as well.
Content = tuple[object, str | None]


def _content(connection: apsw.Connection) -> Content:
    return connection.pragma("application_id"), id_in(connection)


@contextmanager
def _without_foreign_keys(connection: apsw.Connection) -> Iterator[None]:
    """Turns foreign keys off for the block, which encloses a transaction: within one, SQLite ignores the pragma."""
    connection.pragma("foreign_keys", False)
    try:
        yield
    finally:
        connection.pragma("foreign_keys", True)


class _PerThread(threading.local):
    """The connection of each thread, and the identity of its files. Both are None until the thread's first use."""

    connection: apsw.Connection | None = None
    file: OpenFile | None = None


class Database:
    """One SQLite file, which must exist. Threads share this object; each opens its own connection at its first use.

    The process stays with the file that it used first. Another file under the same name may be older, so it is refused
    until the process restarts. `require` checks the first file, and raises StartRefused when it must not be used.
    """

    def __init__(self, path: Path, require: Callable[[], object] = lambda: None) -> None:
        self.path = path
        self._require = require
        self._per_thread = _PerThread()
        self._writer_lock = threading.Lock()
        # The identity of the file that this process used first.
        self._file_id: FileId | None = None
        self._content: Content | None = None
        self._lost: str | None = None  # why this process must not use the database any more
        # The last reason for which the file was refused, and until when it is refused unseen (monotonic clock).
        self._refusal = ""
        self._refused_until = 0.0

    @contextmanager
    def write(self, *, adds_products: bool = False) -> Iterator[apsw.Connection]:
        """Runs the block in one transaction. Raises Unavailable when the lock is not free in time or the disk fails.

        `adds_products` turns foreign keys off. With them, the trigger that inserts a product would make SQLite scan the
        whole ledger for rows that refer to it, while buys wait for the lock. The schema's own triggers still require a
        product for each ledger entry.
        """
        with self._errors_as_unavailable(writing=True):
            connection = self._connection()
            foreign_keys = _without_foreign_keys(connection) if adds_products else nullcontext()
            with self._writer_lock_held(), foreign_keys, transaction(connection):
                yield connection
                wal_bytes = self._file().require_unmoved()
                self._report_wal_size(wal_bytes)
        outages.log_end(str(self.path), f"{self.path}: can be written again")

    @contextmanager
    def read(self) -> Iterator[apsw.Connection]:
        """Yields a connection for one SELECT, which is a snapshot by itself. Raises Unavailable as `write` does."""
        with self._errors_as_unavailable(writing=False):
            connection = self._connection()
            self._file().require_database_unmoved()
            yield connection
        outages.log_end(str(self.path), f"{self.path}: can be read again", writing=False)

    def require_writable(self) -> None:
        """Writes one page without changing anything. Raises Unavailable as `write` does."""
        with self.write() as connection:
            # SQLite writes the file's first page for this, even when the number stays the same.
            connection.pragma("user_version", connection.pragma("user_version"))

    def close(self) -> None:
        """Closes this thread's connection. The next use opens another one."""
        connection = self._per_thread.connection
        self._per_thread.connection = self._per_thread.file = None
        if connection is not None:
            close_quietly(connection)

    @contextmanager
    def _writer_lock_held(self) -> Iterator[None]:
        """Lets one thread write at a time. SQLite's busy handler would sleep longer than a commit takes."""
        if not self._writer_lock.acquire(timeout=BUSY_TIMEOUT_MS / 1000):
            raise Unavailable(retry_after_s=1)
        try:
            yield
        finally:
            self._writer_lock.release()

    def _connection(self) -> apsw.Connection:
        """Returns this thread's connection, which its first use opens. Raises FileMoved and apsw.Error."""
        if self._lost is not None:
            raise FileMoved(self._lost)
        if self._per_thread.connection is None:
            self._require_usable()
            connection = connect(self.path, BUSY_TIMEOUT_MS)
            try:
                file = OpenFile(connection, self.path)
                content = _content(connection)
                self._require_same(file.id, content)
            except BaseException:
                close_quietly(connection)
                raise
            self._file_id, self._content = file.id, content
            self._per_thread.connection, self._per_thread.file = connection, file
        return self._per_thread.connection

    def _require_same(self, opened: FileId | None, content: Content) -> None:
        """Raises FileMoved when the opened file is not the first one of this process, or is of another store."""
        if self._content is None:
            return
        (application, store), (application_now, store_now) = self._content, content
        # An order log may have got the id of its store while it was open.
        is_same_store = store is None or store_now == store
        if opened != self._file_id or application_now != application or not is_same_store:
            raise FileMoved("the file holds another database than before; restart the store, which checks it")

    def _require_usable(self) -> None:
        """Raises FileMoved for a file that must not be opened. A missing file passes, for SQLite reports it.

        The check comes before SQLite opens the file, and applies the WAL beside it, which may be another file's.
        """
        if time.monotonic() < self._refused_until:
            raise FileMoved(self._refusal)
        found = file_id(str(self.path))
        if found is None:
            return
        try:
            if self._file_id is None:
                self._require()
            elif not self.path.stat().st_size:  # SQLite would delete the WAL beside it, which may be the last copy
                raise FileMoved("the file was emptied; stop the store and restore a backup (python -m admin restore)")
            elif found != self._file_id:
                raise FileMoved("another file has its name now, maybe an older one; restart the store, which checks it")
        except (FileMoved, StartRefused) as error:
            self._refusal, self._refused_until = str(error), time.monotonic() + _REFUSED_FOR_S
            raise FileMoved(self._refusal) from error

    def _file(self) -> OpenFile:
        assert self._per_thread.file is not None
        return self._per_thread.file

    def _rescue_wal(self, error: Exception) -> None:
        """Keeps the commits in the WAL of a moved or overwritten database: the WAL may be their only copy."""
        file = self._per_thread.file
        if file is not None and isinstance(error, CompanionMoved):
            file.rescue_wal()
            self._lost = str(error)
        elif file is not None and isinstance(error, FileOverwritten):
            file.keep_wal_on_close()

    def _report_wal_size(self, wal_bytes: int) -> None:
        subject = f"{self.path}-wal"
        if wal_bytes > LARGE_WAL_BYTES:
            why = "a connection keeps an old snapshot of it open, for example a sqlite3 shell within BEGIN"
            outages.log_start(subject, f"{subject}: has grown beyond {LARGE_WAL_BYTES // 2**20} MiB; {why}")
        else:
            outages.log_end(subject, f"{subject}: has shrunk again")

    @contextmanager
    def _errors_as_unavailable(self, *, writing: bool) -> Iterator[None]:
        """Raises Unavailable for an error of the disk, logs the outage, and closes the connection."""
        try:
            yield
        except BUSY as error:
            raise Unavailable(retry_after_s=1) from error
        except (FileMoved, NoSharedMemory, *DISK_ERRORS, *DAMAGE) as error:
            self._rescue_wal(error)
            # After a failed write or sync, the pages that this connection has cached may be wrong.
            self.close()
            why = explain(self.path, error)
            outages.log_start(str(self.path), why, writing=writing)
            # A damaged page fails only the requests that read it, and no retry helps them.
            retry_after_s = None if isinstance(error, DAMAGE) else 1
            unavailable = Unavailable(explain_to_shopper(self.path, error), retry_after_s)
            unavailable.add_note(why)  # for the log only: it has paths
            raise unavailable from error
