"""Checks that a write-ahead log belongs to the database beside it.

SQLite finds a WAL by its name and applies it to whatever file has the matching name. A backup that is copied to the
place of a lost file would get the lost file's pages. The WAL has a salt, but the database does not store it. Two checks
remain: a file that is not in WAL mode, such as a backup or a restored store, has no WAL; and a wrong WAL almost always
leaves a database that fails `integrity_check`.
"""

import time
from contextlib import closing
from pathlib import Path

import apsw

from db.sqlite.read_only import connect_query_only, wal_path

# The header of a database, see https://sqlite.org/fileformat.html#the_database_header.
_HEADER_BYTES = 100
_VERSIONS = slice(18, 20)  # the format's write version and read version: both 2 in WAL mode
_ROLLBACK = b"\x01\x01"
# Short, because a killed tier must be back soon.
_CHECK_TIMEOUT_S = 1.0
_INSTRUCTIONS_A_STEP = 10_000


def foreign_wal(path: Path) -> str | None:
    """Returns why the WAL beside the database at `path` is another file's, and what to do; None when it may match."""
    path = path.resolve()  # SQLite keeps the WAL beside the target of a link
    wal = wal_path(path)
    if not _has_content(wal):
        return None
    repair = f"`python -m admin restore BACKUP --only {path.name}` restores the file and renames this log"
    if not _has_content(path):
        return f"{wal} is the write-ahead log of a missing database; {repair}"
    if _header(path)[_VERSIONS] == _ROLLBACK:
        return f"{wal} is the write-ahead log of another file than this {path.name}; {repair}"
    return None


def integrity_problem(path: Path) -> str | None:
    """Returns the first problem that `integrity_check` finds in the database with the WAL that a crash left.

    None when it finds none within _CHECK_TIMEOUT_S, and when there is no WAL. Neither file is changed. Raises
    apsw.Error when the database cannot be read at all.
    """
    path = path.resolve()
    if not _has_content(wal_path(path)):
        return None
    deadline = time.monotonic() + _CHECK_TIMEOUT_S
    with closing(connect_query_only(path, busy_timeout_ms=0)) as connection:
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        # A row that fails its CHECK says nothing about the WAL: the audit names it, and it must not block a start.
        connection.pragma("ignore_check_constraints", True)
        connection.set_progress_handler(lambda: time.monotonic() > deadline, _INSTRUCTIONS_A_STEP)
        try:
            [(problem,)] = connection.execute("PRAGMA integrity_check(1)").fetchall()
        except apsw.InterruptError:
            return None
        except apsw.BusyError:
            return None  # other connections use the database, so the WAL is its own
    return None if problem == "ok" else str(problem)


def _has_content(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _header(path: Path) -> bytes:
    """Reads the header through SQLite's VFS: a plain open and close would drop the locks that this process holds."""
    flags = [apsw.SQLITE_OPEN_MAIN_DB | apsw.SQLITE_OPEN_READONLY, 0]
    file = apsw.VFSFile("", str(path), flags)
    try:
        return file.xRead(_HEADER_BYTES, 0)
    finally:
        file.xClose()
