"""Backups: both databases as they stood at one moment, beside a running store; and the way back.

A backup is what a power cut at that moment would have left: some buys may be in doubt, and the order tier brings them
to their end when it starts, as it does after a power cut. SQLite has no snapshot across files, so this takes the order
log's write lock for the few milliseconds in which it fixes both moments. Meanwhile no intent begins and no order is
appended, so that all that the catalog has sold at its moment is an order or an intent at the log's.

The pages are copied by SQLite's backup API, from connections that stay at their moment however long it takes. VACUUM
INTO takes about as long, but it begins a transaction of its own, so its moment could not be fixed under that lock.
"""

import errno
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import apsw

from db.audit import CHECKS_OF_A_COPY, Audit, audit
from db.catalog import CatalogStore
from db.compare import compare
from db.connection import TROUBLE, Database, sync
from db.order import OrderStore
from db.snapshots import CATALOG, FILES, LOG, File, Snapshots, Unreadable, require_readable, version_of

_PAGES_A_STEP = 4_096
_BUSY_TIMEOUT_MS = 5_000

Watch = Callable[[str], None]


class InTheWay(Exception):
    """A folder, or a running tier, is in the way of a backup or a restore; the message says which, and what to do."""


class CopyFailed(Exception):
    """The copy could not be written; the message says which."""


def backup(data_dir: Path, target: Path, watch: Watch) -> Audit:
    """Copy the store to the folder `target`, which must not exist or be empty; what the audit of the copy found.

    Raises InTheWay, Unreadable, CopyFailed, OSError, and Unavailable; then there is no `target`.
    """
    if _is_taken(target):
        raise InTheWay(f"{target} is there already and is not an empty folder; name a new one for the backup")
    with _unfinished(target) as folder:
        require_readable(data_dir, *FILES)  # by this code, and so by those who will restore the copy
        with _opened(data_dir) as sources:
            order_log = Database(data_dir / LOG.name)
            with closing(order_log), order_log.write():
                _fix_moments(sources)
            _copy(sources, folder, watch)
        with Snapshots(folder) as copy:
            return audit(copy, CHECKS_OF_A_COPY, watch)


def restore(source: Path, target: Path, watch: Watch) -> Audit:
    """Make the folder `target` from the backup in `source`, upgraded to this code's schema; what its audit found.

    `target` must not exist or be empty: nothing is ever written over, whatever its state. Raises InTheWay, Unreadable
    for what is no backup or one of a newer release, StartRefused, CopyFailed and OSError; then `target` is as it was.
    """
    for file in FILES:
        if not (source / file.name).is_file():
            raise Unreadable(f"{source} is no backup: it has no {file.name}")
    if source.resolve() == target.resolve():
        raise InTheWay(f"{source} is both the backup and the folder to make; name another one with --into")
    if _is_taken(target):
        raise InTheWay(f"{_in_the_way(target, source)}; move it away yourself, then restore again")
    with _unfinished(target) as folder:
        with _opened(source) as sources:
            for file, connection in sources.items():
                version_of(connection, file, source / file.name)
            _fix_moments(sources)
            _copy(sources, folder, watch)
        with closing(CatalogStore(folder / CATALOG.name)) as catalog, closing(OrderStore(folder / LOG.name)) as log:
            catalog.migrate()
            log.migrate()
        with Snapshots(folder) as copy:
            return audit(copy, CHECKS_OF_A_COPY, watch)


def _in_the_way(target: Path, source: Path) -> str:
    """What is in `target`, and whether it is more than what is in the backup."""
    try:
        with Snapshots(target) as there, Snapshots(source) as copy:
            return f"{target} holds a store, {compare(there, copy)}"
    except (Unreadable, apsw.Error):
        return f"{target} is there already and is not an empty folder"


@contextmanager
def _opened(folder: Path) -> Iterator[Mapping[File, apsw.Connection]]:
    """A connection to each database of a folder."""
    with ExitStack() as stack:
        sources = {}
        for file in FILES:
            connection = apsw.Connection(str(folder / file.name), flags=apsw.SQLITE_OPEN_READWRITE)
            sources[file] = stack.enter_context(closing(connection))
            connection.set_busy_timeout(_BUSY_TIMEOUT_MS)
            connection.pragma("query_only", True)
        yield sources


def _fix_moments(sources: Mapping[File, apsw.Connection]) -> None:
    """From now on each connection sees its database as it stands now."""
    for connection in sources.values():
        connection.execute("BEGIN; SELECT count(*) FROM sqlite_schema").fetchall()


def _copy(sources: Mapping[File, apsw.Connection], folder: Path, watch: Watch) -> None:
    for file, source in sources.items():
        watch(f"copy of {file.name}")
        try:
            _copy_file(source, folder / file.name)
        except TROUBLE as error:
            # SQLite's backup says no more than this.
            raise CopyFailed(
                f"{file.name} cannot be copied: the disk is full or fails ({type(error).__name__})"
            ) from error


def _copy_file(source: apsw.Connection, path: Path) -> None:
    with closing(apsw.Connection(str(path))) as copy:
        with copy.backup("main", source, "main") as pages:
            while not pages.done:
                pages.step(_PAGES_A_STEP)
        # A backup is one plain file for each database, without companions; the tiers switch back.
        copy.pragma("journal_mode", "delete")


def _is_taken(folder: Path) -> bool:
    return folder.exists() and (not folder.is_dir() or any(folder.iterdir()))


@contextmanager
def _unfinished(target: Path) -> Iterator[Path]:
    """A folder that becomes `target` once it is complete and on disk; of one that fails nothing is left."""
    target = target.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = target.with_name(f".{target.name}-{uuid.uuid4().hex[:8]}.unfinished")
    folder.mkdir()
    try:
        yield folder
        for path in (*folder.iterdir(), folder):
            sync(path)
        _give_name(folder, target)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    sync(target.parent)


def _give_name(folder: Path, target: Path) -> None:
    """Rename the finished `folder`. Raises InTheWay when another one has made `target` meanwhile."""
    try:
        folder.rename(target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise
        raise InTheWay(f"another one has made {target} meanwhile, and it stays as it is; name a new one") from error
