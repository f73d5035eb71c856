"""Backs up both databases of a store that may be running, and restores them.

A backup equals what a power cut would have left: some buys may be in doubt, and the order tier settles them when it
starts. SQLite has no snapshot across files, so `backup` holds the order log's write lock for the few milliseconds in
which it begins a snapshot of each file. Meanwhile no intent and no order is written, so each sale in the catalog's
snapshot is an order or an intent in the log's.

SQLite's backup API then copies the pages, from the connections that hold the snapshots, without the lock. VACUUM INTO
would take about as long, but it begins its own snapshot, and so the lock would have to be held until all is copied.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import apsw

from db.sqlite.audit import CHECKS_OF_A_COPY, Audit, audit
from db.sqlite.catalog import CatalogStore
from db.sqlite.compare import compare
from db.sqlite.copies import copy_pages
from db.sqlite.database import Database
from db.sqlite.errors import DISK_ERRORS
from db.sqlite.order import OrderStore
from db.sqlite.pairing import give_id_of_log, store_id
from db.sqlite.read_only import connect_query_only
from db.sqlite.snapshots import (
    CATALOG,
    FILES,
    LOG,
    File,
    Snapshots,
    Unreadable,
    require_own_wal,
    require_readable,
    version_of,
)
from db.sqlite.staging import COMPANIONS, InTheWay, conflicting_files, set_aside_companions, staged

# Called with the name of each step before it begins.
OnProgress = Callable[[str], None]


class CopyFailed(Exception):
    """A copy could not be written. The message names the file."""


@dataclass(frozen=True, slots=True)
class Restored:
    """The audit of a restored store, and the new paths of the lost files' companions (-wal and -journal)."""

    audit: Audit
    set_aside: tuple[Path, ...]


def backup(data_dir: Path, target: Path, on_progress: OnProgress) -> Audit:
    """Copies the store to the folder `target`, which must hold neither of its files, and audits the copy.

    Raises InTheWay, Unreadable, CopyFailed, OSError and Unavailable. `target` then has neither file.
    """
    names = [file.name for file in FILES]
    if existing := conflicting_files(target, [name + suffix for name in names for suffix in ("", *COMPANIONS)]):
        raise InTheWay(f"{existing[0]} is there already; name a new folder for the backup")
    with staged(target, names) as folder:
        require_readable(data_dir, *FILES)  # a copy that this code cannot read would be no backup
        with _open_sources(data_dir) as sources:
            order_log = Database(data_dir / LOG.name)
            with closing(order_log), order_log.write():
                _begin_snapshots(sources)
            _copy(sources, folder, on_progress)
        with Snapshots(folder) as copy:
            return audit(copy, CHECKS_OF_A_COPY, on_progress)


def restore(source: Path, target: Path, on_progress: OnProgress, only: File | None = None) -> Restored:
    """Restores the backup in `source`, or `only` one of its files, into the folder `target`, and migrates it.

    `target` must hold none of the files to be restored: nothing is overwritten. The companions of a lost file get other
    names. With `only`, the audit covers the restored file and the other one in `target`, if that exists. Raises
    InTheWay, Unreadable when `source` is no backup or one of a newer release, StartRefused, CopyFailed and OSError.
    `target` then is as it was.
    """
    for file in FILES:
        if not (source / file.name).is_file():
            raise Unreadable(f"{source} is no backup: it has no {file.name}")
    if source.resolve() == target.resolve():
        raise InTheWay(f"{source} is both the backup and the folder to make; name another one with --into")
    wanted = FILES if only is None else (only,)
    if existing := conflicting_files(target, [file.name for file in wanted]):
        raise InTheWay(
            f"{_describe(target, source, existing)}; move it away yourself, with its -wal and -shm, then restore again"
        )
    with staged(target, [file.name for file in wanted]) as folder:
        with _open_sources(source) as sources:
            for file, connection in sources.items():
                version_of(connection, file, source / file.name)
            _begin_snapshots(sources)
            _copy(sources, folder, on_progress)
        with closing(CatalogStore(folder / CATALOG.name)) as catalog, closing(OrderStore(folder / LOG.name)) as log:
            catalog.migrate(keep_copy=False)  # the backup is a copy already
            log.migrate(keep_copy=False)
        if only is CATALOG and store_id(source / CATALOG.name) is None:
            give_id_of_log(folder, target / LOG.name)
        audited = _audit_restored(folder, target, wanted, on_progress)
        return Restored(audited, tuple(_set_aside(target, wanted)))


def _audit_restored(folder: Path, target: Path, wanted: Sequence[File], on_progress: OnProgress) -> Audit:
    """Audits the `wanted` files in `folder` together with the file that stays in `target`, if there is one."""
    for file in FILES:
        if file not in wanted and (target / file.name).is_file():
            # The backup's copy of this file gives way to the file that stays.
            (folder / file.name).unlink()
            (folder / file.name).symlink_to((target / file.name).resolve())
    with Snapshots(folder) as store:
        return audit(store, CHECKS_OF_A_COPY, on_progress)


def _set_aside(target: Path, wanted: Sequence[File]) -> Iterator[Path]:
    for file in wanted:
        yield from set_aside_companions(target / file.name)


def _describe(target: Path, source: Path, existing: Sequence[Path]) -> str:
    """Describes the store in `target` beside the backup, or only names an existing file when one is unreadable."""
    try:
        with Snapshots(target) as store, Snapshots(source) as copy:
            return f"{target} holds a store, {compare(store, copy)}"
    except (Unreadable, apsw.Error):
        return f"{existing[0]} is there already"


@contextmanager
def _open_sources(folder: Path) -> Iterator[Mapping[File, apsw.Connection]]:
    """Yields a connection to each database of a folder. The connections cannot write."""
    with ExitStack() as stack:
        sources = {}
        for file in FILES:
            require_own_wal(folder / file.name)
            sources[file] = stack.enter_context(closing(connect_query_only(folder / file.name)))
        yield sources


def _begin_snapshots(sources: Mapping[File, apsw.Connection]) -> None:
    """Begins a snapshot on each connection, which lasts until the connection is closed."""
    for connection in sources.values():
        # BEGIN alone takes no snapshot: the first read does.
        connection.execute("BEGIN; SELECT count(*) FROM sqlite_schema").fetchall()


def _copy(sources: Mapping[File, apsw.Connection], folder: Path, on_progress: OnProgress) -> None:
    for file, source in sources.items():
        on_progress(f"copy of {file.name}")
        try:
            copy_pages(source, folder / file.name)
        except DISK_ERRORS as error:
            # SQLite's backup API does not say which of the two it is.
            raise CopyFailed(
                f"{file.name} cannot be copied: the disk is full or fails ({type(error).__name__})"
            ) from error
