"""Brings a database file to the newest schema, or refuses a file that this code must not touch.

A migration is a file NNNN_what.sql, run once, in order. All that are missing run in one transaction together with the
new `user_version`, so a crash half way leaves the old schema, and of several processes that start at once one migrates
while the others wait. `application_id` tells our files from others.

Before an upgrade the database is copied beside itself: catalog.db.schema-2-20261128T141500Z. The copy is the owner's to
remove. There is at most one for each schema, the newest.
"""

import contextlib
import logging
import re
from datetime import UTC, datetime
from pathlib import Path

import apsw

from db.busy_handler import wait_for_locks
from db.connection import StartPostponed, StartRefused, connect, fetch_all, require_safe_sqlite, sync, transaction
from db.copies import copied_with_journal, copy_pages
from db.errors import BUSY, DISK_ERRORS, explain, is_lasting
from db.staging import PRIVATE_FOLDER, create_private
from db.wal_check import foreign_wal, misfit

# How long a process waits for another one that is migrating the same file.
_WAIT_MS = 30_000

_log = logging.getLogger(__name__)


def migrate(path: Path, migrations: Path, application_id: int, *, keep_copy: bool = True) -> None:
    """Create or upgrade the database at `path`. Raises StartRefused; then nothing has changed.

    It tells the log of an upgrade, and copies the database beside itself before, unless there is another copy anyway.
    """
    require_safe_sqlite()
    scripts = sorted(migrations.glob("[0-9]*.sql"))
    try:
        path.parent.mkdir(PRIVATE_FOLDER, parents=True, exist_ok=True)
        _refuse_foreign_wal(path)
        _refuse_strangers(path, application_id, newest=len(scripts))
        create_private(path.resolve())  # where a link leads
        with contextlib.closing(connect(path, _WAIT_MS)) as connection:
            _upgrade(connection, path, scripts, application_id, keep_copy=keep_copy)
    except (apsw.Error, OSError) as error:
        may_pass = isinstance(error, (*BUSY, *DISK_ERRORS)) and not is_lasting(path, error)
        raise (StartPostponed if may_pass else StartRefused)(explain(path, error, "DATA_DIR")) from error


def schema_of(path: Path) -> int:
    """The schema of the database at `path`, which is in use."""
    return _describe(path, apsw.SQLITE_OPEN_READONLY)[1]


def _refuse_foreign_wal(path: Path) -> None:
    """Look before SQLite brings the log that stands beside the file into it."""
    if why := foreign_wal(path):
        raise StartRefused(why)
    if problem := misfit(path):
        raise StartRefused(
            f"{path} and its log do not fit together, or it is damaged ({problem}); "
            "`python -m admin audit` tells more, `python -m admin restore` brings a backup back"
        )


def _refuse_strangers(path: Path, application_id: int, newest: int) -> None:
    """Look before the first write, even before the switch to WAL mode: a file that is not ours stays as it is."""
    if not path.exists() or path.stat().st_size == 0:
        return
    try:
        owner, version, tables = _describe(path, apsw.SQLITE_OPEN_READONLY)
    except apsw.ReadOnlyError:
        # A crash cut a transaction off, and only who may write can roll it back. This may well be ours.
        with copied_with_journal(path) as copy:
            owner, version, tables = _describe(copy, apsw.SQLITE_OPEN_READWRITE)
    if owner != application_id and (owner or version or tables):
        raise StartRefused(f"{path} is not a database of this tier; set DATA_DIR to another folder")
    if version > newest:
        raise StartRefused(f"{path} has schema {version}, newer than this code's {newest}; run the newer release")


def _describe(path: Path, flags: int) -> tuple[int, int, int]:
    """application_id, user_version, and how many tables and the like there are."""
    with contextlib.closing(apsw.Connection(str(path), flags=flags)) as connection:
        wait_for_locks(connection, _WAIT_MS)
        with connection:  # one snapshot: another process may be migrating
            owner = connection.pragma("application_id")
            version = connection.pragma("user_version")
            tables = connection.execute("SELECT count(*) FROM sqlite_schema").get
        return owner, version, tables


def _upgrade(
    connection: apsw.Connection, path: Path, scripts: list[Path], application_id: int, *, keep_copy: bool
) -> None:
    # A row that speaks of what was deleted by hand, or fails its check, is for the audit, and must not keep the store
    # from being upgraded. Before the transaction, in which SQLite would not hear of the first of the two.
    connection.pragma("foreign_keys", False)
    connection.pragma("ignore_check_constraints", True)
    with transaction(connection):
        version = connection.pragma("user_version")
        if version == len(scripts):
            return
        copy = _copy(path, version) if version and keep_copy else None
        try:
            views = _take_away_views(connection, scripts)
            for script in scripts[version:]:
                # All rows, for only then SQLite has run all statements.
                connection.execute(script.read_text(encoding="utf-8")).fetchall()
            for view in views:
                connection.execute(view).fetchall()
            connection.pragma("application_id", application_id)
            connection.pragma("user_version", len(scripts))
        except apsw.Error as error:
            kept = f", and a copy is in {copy}" if copy else ""
            raise StartRefused(
                f"{path}: the migration to schema {len(scripts)} failed ({error}); it stays at schema {version}{kept}"
            ) from error
    if version:
        kept = f"; as it was, it is in {copy}" if copy else ""
        _log.info("%s was migrated from schema %d to schema %d%s", path, version, len(scripts), kept)


_VIEWS = "SELECT name, sql FROM sqlite_schema WHERE type = 'view' ORDER BY rowid"
_ON_VIEW = "SELECT sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = :view ORDER BY rowid"


def _take_away_views(connection: apsw.Connection, scripts: list[Path]) -> list[str]:
    """Drop the views that no script makes, and how to make them again.

    They are the owner's. SQLite changes no table while a view speaks of what is not there, and makes any view.
    """
    ours = {name for script in scripts for name in re.findall(r"CREATE VIEW (\w+)", script.read_text("utf-8"))}
    made = []
    for name, view in fetch_all(connection, _VIEWS, {}):
        if name not in ours:
            made += [view, *(trigger for (trigger,) in fetch_all(connection, _ON_VIEW, {"view": name}))]
            connection.execute('DROP VIEW "{}"'.format(name.replace('"', '""'))).fetchall()
    return made


def _copy(path: Path, version: int) -> Path:
    """Copy the database as it stands, beside itself and synced; the older copy of the same schema goes. Its name."""
    path = path.resolve()
    name = f"{path.name}.schema-{version}"
    older = [other for other in path.parent.iterdir() if other.name.startswith(f"{name}-")]
    copy = path.with_name(f"{name}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    unfinished = path.with_name(f".{name}.unfinished")
    unfinished.unlink(missing_ok=True)
    create_private(unfinished)
    try:
        # From a connection of its own: the one that migrates is within its transaction, and has changed nothing yet.
        with contextlib.closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)) as source:
            copy_pages(source, unfinished)
        sync(unfinished)
        unfinished.rename(copy)
        sync(copy.parent)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    for other in older:
        if other != copy:
            other.unlink(missing_ok=True)
    return copy
