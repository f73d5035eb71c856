"""Copies the books from PostgreSQL to catalog.db and order.db, while the store goes on selling.

The rows first come as they are into files beside the copy, as fast as the server sends them, and the server is let go.
SQLite's indexes take several times as long, and a snapshot that is held for so long would slow down the buys.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import apsw

from db.postgres.copies.moment import Addresses, Moment, errors_as_copy_failed, one_moment
from db.postgres.copies.progress import counted
from db.postgres.copies.schemas import require_current
from db.postgres.copies.tables import TABLES, Table
from db.postgres.copies.text import decode_row
from db.sqlite.audit import CHECKS_OF_A_COPY, Audit, audit
from db.sqlite.backup import CopyFailed, OnProgress
from db.sqlite.errors import DISK_ERRORS
from db.sqlite.migrate import migrate
from db.sqlite.snapshots import FILES, File, Snapshots
from db.sqlite.staging import COMPANIONS, InTheWay, conflicting_files, create_private, staged

# Of SQLite's pages, in KiB: keys come in no order, and their index is made row by row.
CACHE_KIB = 64_000


def copy_out(addresses: Addresses, target: Path, on_progress: OnProgress, *, from_standby: bool = False) -> Audit:
    """Copies the store to the folder `target`, which must hold neither of its files, and audits the copy.

    Raises InTheWay, CopyFailed, OSError and StartRefused. `target` then has neither file.
    """
    names = [file.name for file in FILES]
    if existing := conflicting_files(target, [name + suffix for name in names for suffix in ("", *COMPANIONS)]):
        raise InTheWay(f"{existing[0]} is there already; name a new folder for the copy")
    with staged(target, names) as folder:
        write_copy(addresses, folder, on_progress, from_standby=from_standby)
        with Snapshots(folder) as copy:
            return audit(copy, CHECKS_OF_A_COPY, on_progress)


def write_copy(addresses: Addresses, folder: Path, on_progress: OnProgress, *, from_standby: bool = False) -> float:
    """Writes catalog.db and order.db into an empty folder. Returns their moment by the log's clock (POSIX seconds).

    Raises CopyFailed, OSError and StartRefused, and may then leave some files.
    """
    with one_moment(addresses, from_standby=from_standby) as moment:
        for file in FILES:
            with errors_as_copy_failed(addresses.of(file)):
                require_current(moment.connections[file], file, addresses.of(file))
        for table in TABLES:
            _unload(moment, table, addresses.of(table.file), _unloaded(folder, table), on_progress)
    for file in FILES:
        _build(file, folder, on_progress)
    return moment.time_s


def _unloaded(folder: Path, table: Table) -> Path:
    """Returns the path of the rows of a table as PostgreSQL sent them."""
    return folder / f"{table.full_name}.rows"


def _unload(moment: Moment, table: Table, address: str, path: Path, on_progress: OnProgress) -> None:
    """Writes all rows of a table to a file, as PostgreSQL sends them."""
    create_private(path)
    connection = moment.connections[table.file]
    with (
        errors_as_copy_failed(address),
        path.open("wb") as rows,
        connection.cursor() as cursor,
        cursor.copy(table.unload.encode()) as copy,
    ):
        for row in counted(copy, f"{table.full_name} is read", on_progress):
            rows.write(row)


def _build(file: File, folder: Path, on_progress: OnProgress) -> None:
    """Makes a database of SQLite, by its own migrations, and fills it with the rows in the folder."""
    path = folder / file.name
    migrate(path, file.migrations, file.application_id, keep_copy=False)
    with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)) as connection, _errors(file):
        # The rows come table by table and were checked when they were written: triggers would check each against the
        # rows of other tables. What is wrong in them is for the audit.
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
        connection.execute(_FAST).fetchall()
        connection.pragma("cache_size", -CACHE_KIB)
        with connection:
            for table in TABLES:
                if table.file is file:
                    _fill(connection, table, _unloaded(folder, table), on_progress)
        connection.pragma("journal_mode", "delete")


# No other process knows the file yet, and it is synced at the end: a crash leaves an unfinished folder in any case.
_FAST = """
    PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;
    PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON"""


def _fill(connection: apsw.Connection, table: Table, path: Path, on_progress: OnProgress) -> None:
    connection.execute(_DELETE.format(table=table.name))  # the id that the migration has made
    with path.open("rb") as lines:
        counted_lines = counted(lines, f"{table.full_name} is written", on_progress)
        connection.executemany(table.insert, map(decode_row, counted_lines))
    path.unlink()


_DELETE = "DELETE FROM {table}"


@contextmanager
def _errors(file: File) -> Iterator[None]:
    """Raises CopyFailed when the disk fails, or when a row cannot be in SQLite's file."""
    try:
        yield
    except (apsw.ConstraintError, apsw.MismatchError, *DISK_ERRORS) as error:
        raise CopyFailed(f"{file.name} cannot be written: {error}") from error
