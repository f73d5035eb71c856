"""Backups: both databases as they stood at one moment, beside a running store; and the way back.

A backup is what a power cut at that moment would have left: some buys may be in doubt, and the order tier brings them
to their end when it starts, as it does after a power cut. SQLite has no snapshot across files, so this takes the order
log's write lock for the few milliseconds in which it fixes both moments. Meanwhile no intent begins and no order is
appended, so that all that the catalog has sold at its moment is an order or an intent at the log's.

The pages are copied by SQLite's backup API, from connections that stay at their moment however long it takes. VACUUM
INTO takes about as long, but it begins a transaction of its own, so its moment could not be fixed under that lock.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import apsw

from db.audit import CHECKS_OF_A_COPY, Audit, audit
from db.busy_handler import wait_for_locks
from db.catalog import CatalogStore
from db.compare import compare
from db.copies import copy_pages
from db.database import Database
from db.errors import DISK_ERRORS
from db.order import OrderStore
from db.pairing import give_id_of_log, store_id
from db.snapshots import CATALOG, FILES, LOG, File, Snapshots, Unreadable, require_own_log, require_readable, version_of
from db.staging import COMPANIONS, InTheWay, in_the_way, set_aside_companions, staged

_BUSY_TIMEOUT_MS = 5_000

OnProgress = Callable[[str], None]


class CopyFailed(Exception):
    """The copy could not be written; the message says which."""


@dataclass(frozen=True, slots=True)
class Restored:
    """The audit of a restored store, and the new places of the companions of lost files."""

    audit: Audit
    set_aside: tuple[Path, ...]


def backup(data_dir: Path, target: Path, on_progress: OnProgress) -> Audit:
    """Copy the store to the folder `target`, which must hold neither of its files; what the audit of the copy found.

    Raises InTheWay, Unreadable, CopyFailed, OSError, and Unavailable; then the files are not in `target`.
    """
    names = [file.name for file in FILES]
    if there := in_the_way(target, [name + suffix for name in names for suffix in ("", *COMPANIONS)]):
        raise InTheWay(f"{there[0]} is there already; name a new folder for the backup")
    with staged(target, names) as folder:
        require_readable(data_dir, *FILES)  # by this code, and so by those who will restore the copy
        with _opened(data_dir) as sources:
            order_log = Database(data_dir / LOG.name)
            with closing(order_log), order_log.write():
                _begin_snapshots(sources)
            _copy(sources, folder, on_progress)
        with Snapshots(folder) as copy:
            return audit(copy, CHECKS_OF_A_COPY, on_progress)


def restore(source: Path, target: Path, on_progress: OnProgress, only: File | None = None) -> Restored:
    """Put the files of the backup in `source`, or `only` one of them, into the folder `target`, in this code's schema.

    `target` must hold none of the files to be made: nothing is ever written over. The companions of a lost file are
    set aside. With `only`, the audit is of the new file and of the other one in `target`, if that is there. Raises
    InTheWay, Unreadable for what is no backup or one of a newer release, StartRefused, CopyFailed and OSError; then
    `target` is as it was.
    """
    for file in FILES:
        if not (source / file.name).is_file():
            raise Unreadable(f"{source} is no backup: it has no {file.name}")
    if source.resolve() == target.resolve():
        raise InTheWay(f"{source} is both the backup and the folder to make; name another one with --into")
    wanted = FILES if only is None else (only,)
    if there := in_the_way(target, [file.name for file in wanted]):
        raise InTheWay(
            f"{_describe(target, source, there)}; move it away yourself, with its -wal and -shm, then restore again"
        )
    with staged(target, [file.name for file in wanted]) as folder:
        with _opened(source) as sources:
            for file, connection in sources.items():
                version_of(connection, file, source / file.name)
            _begin_snapshots(sources)
            _copy(sources, folder, on_progress)
        with closing(CatalogStore(folder / CATALOG.name)) as catalog, closing(OrderStore(folder / LOG.name)) as log:
            catalog.migrate(keep_copy=False)  # the backup is one
            log.migrate(keep_copy=False)
        if only is CATALOG and store_id(source / CATALOG.name) is None:
            give_id_of_log(folder, target / LOG.name)
        found = _audit_in_place(folder, target, wanted, on_progress)
        return Restored(found, tuple(_set_aside(target, wanted)))


def _audit_in_place(folder: Path, target: Path, wanted: Sequence[File], on_progress: OnProgress) -> Audit:
    """The audit of the files made in `folder` beside those that stay in `target`."""
    for file in FILES:
        if file not in wanted and (target / file.name).is_file():
            (folder / file.name).unlink()
            (folder / file.name).symlink_to((target / file.name).resolve())
    with Snapshots(folder) as store:
        return audit(store, CHECKS_OF_A_COPY, on_progress)


def _set_aside(target: Path, wanted: Sequence[File]) -> Iterator[Path]:
    for file in wanted:
        yield from set_aside_companions(target / file.name)


def _describe(target: Path, source: Path, there: Sequence[Path]) -> str:
    """Say which file is in the way, and whether it has more than the backup."""
    try:
        with Snapshots(target) as store, Snapshots(source) as copy:
            return f"{target} holds a store, {compare(store, copy)}"
    except (Unreadable, apsw.Error):
        return f"{there[0]} is there already"


@contextmanager
def _opened(folder: Path) -> Iterator[Mapping[File, apsw.Connection]]:
    """A connection to each database of a folder."""
    with ExitStack() as stack:
        sources = {}
        for file in FILES:
            require_own_log(folder / file.name)
            connection = apsw.Connection(str(folder / file.name), flags=apsw.SQLITE_OPEN_READWRITE)
            sources[file] = stack.enter_context(closing(connection))
            wait_for_locks(connection, _BUSY_TIMEOUT_MS)
            connection.pragma("query_only", True)
        yield sources


def _begin_snapshots(sources: Mapping[File, apsw.Connection]) -> None:
    """From now on each connection sees its database as it stands now."""
    for connection in sources.values():
        connection.execute("BEGIN; SELECT count(*) FROM sqlite_schema").fetchall()


def _copy(sources: Mapping[File, apsw.Connection], folder: Path, on_progress: OnProgress) -> None:
    for file, source in sources.items():
        on_progress(f"copy of {file.name}")
        try:
            copy_pages(source, folder / file.name)
        except DISK_ERRORS as error:
            # SQLite's backup says no more than this.
            raise CopyFailed(
                f"{file.name} cannot be copied: the disk is full or fails ({type(error).__name__})"
            ) from error
