"""Both databases, to be read only: short looks at one moment of one file and at a later moment of the other."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import apsw

from db import catalog, order
from db.busy_handler import wait_for_locks
from db.errors import DAMAGE, DISK_ERRORS, NoSharedMemory, explain
from db.pairing import CATALOG_NAME, LOG_NAME
from db.peek import size_of, wal_of
from db.wal_check import foreign_wal

# How many rows one look takes. A look holds up the checkpoints of a running store, and the next one does not.
CHUNK = 10_000
_BUSY_TIMEOUT_MS = 5_000


class Unreadable(Exception):
    """These are not books that this code can read; the message says why and what to do."""


class Damaged(Unreadable):
    """One of the two is so damaged that nothing else can be told of it. `name` says which."""

    def __init__(self, path: Path, error: Exception) -> None:
        super().__init__(explain(path, error))
        self.name = path.name


@dataclass(frozen=True, slots=True)
class File:
    """One of the two databases. `schema` is its name in SQL."""

    schema: str
    name: str
    application_id: int
    migrations: Path

    def scripts(self) -> list[Path]:
        """The migrations, in their order."""
        return sorted(self.migrations.glob("[0-9]*.sql"))

    @property
    def newest(self) -> int:
        """The version of the schema that this code works with."""
        return len(self.scripts())


CATALOG = File("catalog", CATALOG_NAME, catalog.APPLICATION_ID, catalog.MIGRATIONS)
LOG = File("log", LOG_NAME, order.APPLICATION_ID, order.MIGRATIONS)
FILES = (CATALOG, LOG)

_ATTACH = {CATALOG: "ATTACH :uri AS catalog", LOG: "ATTACH :uri AS log"}
# Reading anything of a file fixes the moment at which a transaction sees it.
_BEGIN_SNAPSHOT = {CATALOG: "SELECT count(*) FROM catalog.sqlite_schema", LOG: "SELECT count(*) FROM log.sqlite_schema"}


class Snapshots:
    """The two databases of a folder. Use as a context manager; no file is made, changed or left behind.

    A look is one moment of one file and a later moment of the other, never the same moment of both: SQLite has no
    snapshot across files. The order of the two is therefore the caller's, and which is sound follows from the buy: its
    intent is logged before it is sold, and it is sold before it is ordered.
    """

    def __init__(self, data_dir: Path, files: Sequence[File] = FILES) -> None:
        """Raises Unreadable for `files` that are missing, not this store's, or of another schema."""
        self.data_dir = data_dir
        for file in files:
            require_own_log(data_dir / file.name)
            if not (data_dir / file.name).is_file():
                why = "is no file" if (data_dir / file.name).exists() else "does not exist"
                raise Unreadable(f"{data_dir / file.name} {why}; DATA_DIR says where the store's state is")
        # Where a link leads, for there SQLite keeps the write-ahead log.
        paths = {file: (data_dir / file.name).resolve() for file in files}
        flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE | apsw.SQLITE_OPEN_URI
        self._connection = apsw.Connection(":memory:", flags=flags)
        try:
            wait_for_locks(self._connection, _BUSY_TIMEOUT_MS)
            # What a crash left in a WAL stays there. The empty WAL that opening makes goes with the last who closes.
            crashed = any(size_of(wal_of(path)) for path in paths.values())
            self._connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, int(crashed))
            for file, path in paths.items():
                self._attach(file, path)
            self._connection.pragma("query_only", True)
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._connection.close(True)

    @contextmanager
    def snapshot(self, *files: File) -> Iterator[apsw.Connection]:
        """One look: the first file as it is now, the next as it is a moment later."""
        self._connection.execute("BEGIN")
        try:
            for file in files:
                self._connection.execute(_BEGIN_SNAPSHOT[file]).fetchall()
            yield self._connection
        finally:
            if self._connection.in_transaction:  # after some errors SQLite has rolled back by itself
                self._connection.execute("ROLLBACK")

    def _attach(self, file: File, path: Path) -> None:
        # Not mode=ro: one who may only read leaves the companions behind that opening a database in WAL mode makes.
        with _trouble_is_unreadable(path):
            try:
                self._connection.execute(_ATTACH[file], {"uri": f"{path.as_uri()}?mode=rw"}).fetchall()
            except apsw.Error:
                _read_schema(path)  # ATTACH says no more than that it cannot
                raise
        version = version_of(self._connection, file, path, schema=file.schema)
        if version < file.newest:
            raise Unreadable(f"{path} has schema {version}, older than this code's {file.newest}; start the store once")


def require_own_log(path: Path) -> None:
    """Raises Unreadable when the log beside a database is another file's, which SQLite would bring into it."""
    if why := foreign_wal(path):
        raise Unreadable(why)


def require_readable(data_dir: Path, *files: File) -> None:
    """Raises Unreadable for `files` that are missing, not this store's, or of another schema."""
    with Snapshots(data_dir, files):
        pass


def version_of(connection: apsw.Connection, file: File, path: Path, *, schema: str = "main") -> int:
    """The version of the schema of a database. Raises Unreadable when it is not this file of a store, or is newer."""
    with _trouble_is_unreadable(path):
        owner = connection.pragma("application_id", schema=schema)
        version = connection.pragma("user_version", schema=schema)
    if owner != file.application_id:
        what = f"is not the {file.name} of this store" if path.stat().st_size else "is empty"
        raise Unreadable(f"{path} {what}; DATA_DIR says where the store's state is")
    assert isinstance(version, int)
    if version > file.newest:
        raise Unreadable(f"{path} has schema {version}, newer than this code's {file.newest}; use the newer release")
    return version


@contextmanager
def _trouble_is_unreadable(path: Path) -> Iterator[None]:
    try:
        yield
    except DAMAGE as error:
        raise Damaged(path, error) from error
    except (apsw.SQLError, NoSharedMemory, *DISK_ERRORS) as error:
        raise Unreadable(f"cannot be read: {explain(path, error)}") from error


def _read_schema(path: Path) -> None:
    """Raises the apsw.Error that keeps this database from being read."""
    with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)) as connection:
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        connection.pragma("query_only", True)
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
