"""Reads both databases of a store through short snapshots, and changes neither."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import apsw

from db.sqlite import catalog, order
from db.sqlite.busy_handler import wait_for_locks
from db.sqlite.errors import DAMAGE, DISK_ERRORS, NoSharedMemory, explain
from db.sqlite.pairing import CATALOG_NAME, LOG_NAME
from db.sqlite.read_only import READ_TIMEOUT_MS, connect_query_only, file_size, wal_path
from db.sqlite.wal_check import foreign_wal

# Rows read in one snapshot. A snapshot blocks the checkpoints of a running store, so a long read takes many short ones.
CHUNK = 10_000


class Unreadable(Exception):
    """This code cannot read these databases. The message says why and what to do."""


class Damaged(Unreadable):
    """One of the two databases, `name`, is too damaged to be opened."""

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
        """Returns the migrations in their order."""
        return sorted(self.migrations.glob("[0-9]*.sql"))

    @property
    def newest(self) -> int:
        """The schema version that this code works with."""
        return len(self.scripts())


CATALOG = File("catalog", CATALOG_NAME, catalog.APPLICATION_ID, catalog.MIGRATIONS)
LOG = File("log", LOG_NAME, order.APPLICATION_ID, order.MIGRATIONS)
FILES = (CATALOG, LOG)

_ATTACH = {CATALOG: "ATTACH :uri AS catalog", LOG: "ATTACH :uri AS log"}
# The first read of a file in a transaction starts its snapshot.
_BEGIN_SNAPSHOT = {CATALOG: "SELECT count(*) FROM catalog.sqlite_schema", LOG: "SELECT count(*) FROM log.sqlite_schema"}


class Snapshots:
    """The two databases of a folder, attached to one connection. Use it as a context manager.

    Neither file is changed, and no other file stays. SQLite has no snapshot across files: the second file is seen a
    moment later than the first. The caller chooses the order of the two by the steps of a buy: the intent is logged
    before the sale, and the sale is made before the order.
    """

    def __init__(self, data_dir: Path, files: Sequence[File] = FILES) -> None:
        """Raises Unreadable for `files` that are missing, not this store's, or of another schema."""
        self.data_dir = data_dir
        for file in files:
            require_own_wal(data_dir / file.name)
            if not (data_dir / file.name).is_file():
                why = "is no file" if (data_dir / file.name).exists() else "does not exist"
                where = "DATA_DIR says where the store's state is, or CATALOG_DATABASE and ORDER_DATABASE on PostgreSQL"
                raise Unreadable(f"{data_dir / file.name} {why}; {where}")
        # Resolved, because SQLite keeps the WAL beside the target of a link.
        paths = {file: (data_dir / file.name).resolve() for file in files}
        flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE | apsw.SQLITE_OPEN_URI
        self._connection = apsw.Connection(":memory:", flags=flags)
        try:
            wait_for_locks(self._connection, READ_TIMEOUT_MS)
            # A WAL that a crash left stays as it is. Otherwise the last connection to close deletes the empty one.
            crashed = any(file_size(wal_path(path)) for path in paths.values())
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
        """Yields a connection that sees the first file as it is now, and the next one as it is a moment later."""
        self._connection.execute("BEGIN")
        try:
            for file in files:
                self._connection.execute(_BEGIN_SNAPSHOT[file]).fetchall()
            yield self._connection
        finally:
            if self._connection.in_transaction:  # after some errors SQLite rolls back by itself
                self._connection.execute("ROLLBACK")

    def _attach(self, file: File, path: Path) -> None:
        # Not mode=ro, for the reason in connect_query_only.
        with _errors_as_unreadable(path):
            try:
                self._connection.execute(_ATTACH[file], {"uri": f"{path.as_uri()}?mode=rw"}).fetchall()
            except apsw.Error:
                _read_schema(path)  # raises the cause, which ATTACH does not report
                raise
        version = version_of(self._connection, file, path, schema=file.schema)
        if version < file.newest:
            raise Unreadable(f"{path} has schema {version}, older than this code's {file.newest}; start the store once")


def require_own_wal(path: Path) -> None:
    """Raises Unreadable when the WAL beside a database is another file's: SQLite would apply it to the database."""
    if why := foreign_wal(path):
        raise Unreadable(why)


def require_readable(data_dir: Path, *files: File) -> None:
    """Raises Unreadable for `files` that are missing, not this store's, or of another schema."""
    with Snapshots(data_dir, files):
        pass


def version_of(connection: apsw.Connection, file: File, path: Path, *, schema: str = "main") -> int:
    """Returns the schema version of a database. Raises Unreadable when it is not this `file`, or is newer."""
    with _errors_as_unreadable(path):
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
def _errors_as_unreadable(path: Path) -> Iterator[None]:
    try:
        yield
    except DAMAGE as error:
        raise Damaged(path, error) from error
    except (apsw.SQLError, NoSharedMemory, *DISK_ERRORS) as error:
        raise Unreadable(f"cannot be read: {explain(path, error)}") from error


def _read_schema(path: Path) -> None:
    """Reads this database, to raise the apsw.Error that prevents it."""
    with closing(connect_query_only(path, busy_timeout_ms=0)) as connection:
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
