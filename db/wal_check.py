"""Whether a write-ahead log belongs to the database that it stands beside.

SQLite finds a log by its name, and brings it into whatever file has the name: a backup that was put in the place of a
lost file gets the lost file's pages. A log has a salt, but the database does not know it. So two things can be told. A
file that is not in WAL mode, such as a backup or a restored store, has no log. And a log that is not the file's leaves,
but for luck, a database that does not hold together.
"""

import time
from contextlib import closing
from pathlib import Path

import apsw

from db.peek import wal_of

# The header of a database, see https://sqlite.org/fileformat.html#the_database_header.
_HEADER_BYTES = 100
_VERSIONS = slice(18, 20)  # of the format, to write and to read: 2 in WAL mode
_ROLLBACK = b"\x01\x01"
# A start looks no longer at a database that a crash left: a killed tier must be back soon.
_LOOK_S = 1.0
_INSTRUCTIONS_A_STEP = 10_000


def foreign_wal(path: Path) -> str | None:
    """Why the log beside the database at `path` cannot be its own, and what to do; None when it may be."""
    path = path.resolve()  # where a link leads, for there SQLite keeps the log
    log = wal_of(path)
    if not _has_content(log):
        return None
    way_back = f"`python -m admin restore BACKUP --only {path.name}` puts a backup's file there and takes the log away"
    if not _has_content(path):
        return f"{log} is the log of a database that is gone; {way_back}"
    if _header(path)[_VERSIONS] == _ROLLBACK:
        return f"{log} is the log of another file than the {path.name} that stands there now; {way_back}"
    return None


def misfit(path: Path) -> str | None:
    """How the database at `path` and the log that a crash left beside it do not hold together.

    None when they do, when there is no log, and when _LOOK_S is over before anything was found. It changes neither.
    Raises apsw.Error when the file cannot be read at all.
    """
    path = path.resolve()
    if not _has_content(wal_of(path)):
        return None
    deadline = time.monotonic() + _LOOK_S
    with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)) as connection:
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        connection.pragma("query_only", True)
        # A row that is wrong holds together with all others: it is for the audit, and stops no start.
        connection.pragma("ignore_check_constraints", True)
        connection.set_progress_handler(lambda: time.monotonic() > deadline, _INSTRUCTIONS_A_STEP)
        try:
            [(problem,)] = connection.execute("PRAGMA integrity_check(1)").fetchall()
        except apsw.InterruptError:
            return None
        except apsw.BusyError:
            return None  # others are at work on it, so the log is theirs
    return None if problem == "ok" else str(problem)


def _has_content(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _header(path: Path) -> bytes:
    """By way of SQLite's VFS: to open and close the file without it would drop the locks that this process has."""
    flags = [apsw.SQLITE_OPEN_MAIN_DB | apsw.SQLITE_OPEN_READONLY, 0]
    file = apsw.VFSFile("", str(path), flags)
    try:
        return file.xRead(_HEADER_BYTES, 0)
    finally:
        file.xClose()
