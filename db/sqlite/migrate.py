"""Migrates a database file to the newest schema, and refuses a file that this code must not change.

A migration is a file NNNN_what.sql. Each runs once, in order. All missing ones run in one transaction, which also sets
`user_version`: a crash leaves the old schema, and of several processes that start at once one migrates while the others
wait. `application_id` marks the files of this store.

Before an upgrade the database is copied beside itself: catalog.db.schema-2-20261128T141500Z. The owner removes the
copy. Only the newest copy of each schema is kept.
"""

import contextlib
import logging
import re
from datetime import UTC, datetime
from pathlib import Path

import apsw

from db.sqlite.busy_handler import wait_for_locks
from db.sqlite.connection import connect, fetch_all, require_safe_sqlite, sync, transaction
from db.sqlite.copies import copied_with_journal, copy_pages
from db.sqlite.errors import BUSY, DISK_ERRORS, explain, is_lasting
from db.sqlite.staging import PRIVATE_FOLDER, create_private
from db.sqlite.wal_check import foreign_wal, integrity_problem
from db.start import StartPostponed, StartRefused

# Long enough for another process to finish its migration of the same file.
_BUSY_TIMEOUT_MS = 30_000

_log = logging.getLogger(__name__)


def migrate(path: Path, migrations: Path, application_id: int, *, keep_copy: bool = True) -> None:
    """Creates or upgrades the database at `path`. Raises StartRefused, and then has changed nothing.

    An upgrade is logged. With `keep_copy` the database is copied beside itself first.
    """
    require_safe_sqlite()
    scripts = sorted(migrations.glob("[0-9]*.sql"))
    try:
        path.parent.mkdir(PRIVATE_FOLDER, parents=True, exist_ok=True)
        _refuse_foreign_wal(path)
        _refuse_foreign_database(path, application_id, newest=len(scripts))
        create_private(path.resolve())  # the target of a link
        with contextlib.closing(connect(path, _BUSY_TIMEOUT_MS)) as connection:
            _upgrade(connection, path, scripts, application_id, keep_copy=keep_copy)
    except (apsw.Error, OSError) as error:
        may_pass = isinstance(error, (*BUSY, *DISK_ERRORS)) and not is_lasting(path, error)
        raise (StartPostponed if may_pass else StartRefused)(explain(path, error, "DATA_DIR")) from error


def schema_of(path: Path) -> int:
    """Returns the schema version of the database at `path`, which is in use."""
    return _describe(path, apsw.SQLITE_OPEN_READONLY)[1]


def _refuse_foreign_wal(path: Path) -> None:
    """Raises StartRefused when the WAL beside the file is not its own, before SQLite applies it to the file."""
    if why := foreign_wal(path):
        raise StartRefused(why)
    if problem := integrity_problem(path):
        raise StartRefused(
            f"{path} and its write-ahead log do not match, or the file is damaged ({problem}); "
            "run python -m admin audit, or restore a backup (python -m admin restore)"
        )


def _refuse_foreign_database(path: Path, application_id: int, newest: int) -> None:
    """Raises StartRefused for a file that is not this tier's, before the first write and the switch to WAL mode."""
    if not path.exists() or path.stat().st_size == 0:
        return
    try:
        owner, version, tables = _describe(path, apsw.SQLITE_OPEN_READONLY)
    except apsw.ReadOnlyError:
        # A crash left a transaction to roll back, which needs write access. The file may well be ours.
        with copied_with_journal(path) as copy:
            owner, version, tables = _describe(copy, apsw.SQLITE_OPEN_READWRITE)
    if owner != application_id and (owner or version or tables):
        raise StartRefused(f"{path} is not a database of this tier; set DATA_DIR to another folder")
    if version > newest:
        raise StartRefused(f"{path} has schema {version}, newer than this code's {newest}; run the newer release")


def _describe(path: Path, flags: int) -> tuple[int, int, int]:
    """Returns the application_id, the user_version and the number of tables, indexes, views and triggers."""
    with contextlib.closing(apsw.Connection(str(path), flags=flags)) as connection:
        wait_for_locks(connection, _BUSY_TIMEOUT_MS)
        with connection:  # one snapshot, for another process may be migrating
            owner = connection.pragma("application_id")
            version = connection.pragma("user_version")
            tables = connection.execute("SELECT count(*) FROM sqlite_schema").get
        return owner, version, tables


def _upgrade(
    connection: apsw.Connection, path: Path, scripts: list[Path], application_id: int, *, keep_copy: bool
) -> None:
    # The audit names rows that break a foreign key or a CHECK; they must not block an upgrade. Before the transaction,
    # because within one SQLite ignores the pragma `foreign_keys`.
    connection.pragma("foreign_keys", False)
    connection.pragma("ignore_check_constraints", True)
    with transaction(connection):
        version = connection.pragma("user_version")
        if version == len(scripts):
            return
        copy = _copy(path, version) if version and keep_copy else None
        try:
            indexes, dropped = _foreign(connection, scripts, "index"), _drop_foreign(connection, scripts)
            for script in scripts[version:]:
                # All rows are fetched, because only then has SQLite run all statements.
                connection.execute(script.read_text(encoding="utf-8")).fetchall()
            lost = [index for name, index in indexes.items() if not fetch_all(connection, _EXISTS, {"name": name})]
            for sql in [*lost, *dropped]:
                connection.execute(sql).fetchall()
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


_NAMED = "SELECT name, sql FROM sqlite_schema WHERE type = :type AND sql IS NOT NULL ORDER BY rowid"
_EXISTS = "SELECT 1 FROM sqlite_schema WHERE name = :name"


def _foreign(connection: apsw.Connection, scripts: list[Path], kind: str) -> dict[str, str]:
    """Returns the SQL of the views, triggers or indexes that no script creates, by name. They are the owner's."""
    pattern = rf"CREATE {kind.upper()} (\w+)"
    ours = {name for script in scripts for name in re.findall(pattern, script.read_text("utf-8"))}
    return {name: sql for name, sql in fetch_all(connection, _NAMED, {"type": kind}) if name not in ours}


def _drop_foreign(connection: apsw.Connection, scripts: list[Path]) -> list[str]:
    """Drops the owner's views and triggers, and returns the SQL that creates them again.

    SQLite alters no table while a view refers to a missing column, but creates such a view, so all views can be created
    again. A trigger would go with a table that is made again, or refer to the old table for ever.
    """
    triggers, views = (_foreign(connection, scripts, kind) for kind in ("trigger", "view"))
    for kind, names in (("TRIGGER", triggers), ("VIEW", views)):
        for name in names:
            connection.execute('DROP {} "{}"'.format(kind, name.replace('"', '""'))).fetchall()
    return [*views.values(), *triggers.values()]


def _copy(path: Path, version: int) -> Path:
    """Copies the database beside itself, synced, and deletes older copies of the same schema. Returns the new path."""
    path = path.resolve()
    name = f"{path.name}.schema-{version}"
    older = [other for other in path.parent.iterdir() if other.name.startswith(f"{name}-")]
    copy = path.with_name(f"{name}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    unfinished = path.with_name(f".{name}.unfinished")
    unfinished.unlink(missing_ok=True)
    create_private(unfinished)
    try:
        # Through another connection, because the migrating one is in a transaction. It has changed nothing yet.
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
