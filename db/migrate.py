"""Brings a database file to the newest schema, or refuses a file that this code must not touch.

A migration is a file NNNN_what.sql, run once, in order. All that are missing run in one transaction together with the
new `user_version`, so a crash half way leaves the old schema, and of several processes that start at once one migrates
while the others wait. `application_id` tells our files from others.
"""

import contextlib
import shutil
import tempfile
from pathlib import Path

import apsw

from db.connection import TROUBLE, StartPostponed, StartRefused, connect, require_safe_sqlite, transaction
from db.log_check import foreign_log, misfit
from db.staging import PRIVATE_FOLDER, create_private

# How long a process waits for another one that is migrating the same file.
_WAIT_MS = 30_000


def migrate(path: Path, migrations: Path, application_id: int) -> None:
    """Create or upgrade the database at `path`. Raises StartRefused, and then has changed nothing."""
    require_safe_sqlite()
    scripts = sorted(migrations.glob("[0-9]*.sql"))
    try:
        path.parent.mkdir(PRIVATE_FOLDER, parents=True, exist_ok=True)
        _refuse_foreign_log(path)
        _refuse_strangers(path, application_id, newest=len(scripts))
        create_private(path)
        with contextlib.closing(connect(path, _WAIT_MS)) as connection:
            _upgrade(connection, scripts, application_id)
    except (apsw.BusyError, *TROUBLE) as error:
        raise StartPostponed(f"{path} (DATA_DIR): {error}") from error
    except (apsw.Error, OSError) as error:
        raise StartRefused(f"{path} (DATA_DIR): {error}") from error


def _refuse_foreign_log(path: Path) -> None:
    """Look before SQLite brings the log that stands beside the file into it."""
    if why := foreign_log(path):
        raise StartRefused(why)
    if problem := misfit(path):
        raise StartRefused(
            f"{path} and its log do not fit together, or it is damaged ({problem}); `python -m db audit` tells more, "
            "`python -m db restore` brings a backup back"
        )


def _refuse_strangers(path: Path, application_id: int, newest: int) -> None:
    """Look before the first write, even before the switch to WAL mode: a file that is not ours stays as it is."""
    if not path.exists() or path.stat().st_size == 0:
        return
    try:
        owner, version, tables = _describe(path, apsw.SQLITE_OPEN_READONLY)
    except apsw.ReadOnlyError:
        owner, version, tables = _describe_after_rollback(path)
    if owner != application_id and (owner or version or tables):
        raise StartRefused(f"{path} is not a database of this tier; set DATA_DIR to another folder")
    if version > newest:
        raise StartRefused(f"{path} has schema {version}, newer than this code's {newest}; run the newer release")


def _describe(path: Path, flags: int) -> tuple[int, int, int]:
    """application_id, user_version, and how many tables and the like there are."""
    with contextlib.closing(apsw.Connection(str(path), flags=flags)) as connection:
        connection.set_busy_timeout(_WAIT_MS)
        with connection:  # one snapshot: another process may be migrating
            owner = connection.pragma("application_id")
            version = connection.pragma("user_version")
            tables = connection.execute("SELECT count(*) FROM sqlite_schema").get
        return owner, version, tables


def _describe_after_rollback(path: Path) -> tuple[int, int, int]:
    """The same, of a file whose transaction a crash cut off: only who may write can roll it back, so in a copy.

    The switch to WAL of a new file is such a transaction, so this may well be ours.
    """
    with tempfile.TemporaryDirectory() as folder:
        shutil.copyfile(path, Path(folder, path.name))
        with contextlib.suppress(FileNotFoundError):  # another process has just rolled it back
            shutil.copyfile(f"{path}-journal", Path(folder, f"{path.name}-journal"))
        return _describe(Path(folder, path.name), apsw.SQLITE_OPEN_READWRITE)


def _upgrade(connection: apsw.Connection, scripts: list[Path], application_id: int) -> None:
    with transaction(connection):
        version = connection.pragma("user_version")
        for script in scripts[version:]:
            # All rows, for only then SQLite has run all statements.
            connection.execute(script.read_text(encoding="utf-8")).fetchall()
        connection.pragma("application_id", application_id)
        connection.pragma("user_version", max(version, len(scripts)))
