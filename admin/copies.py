"""The commands that copy the store: `backup` and `restore` of its files, `copy-out` and `copy-in` for PostgreSQL."""

import argparse
import sys
from pathlib import Path

from admin.exit_codes import exit_code_of
from admin.report import print_copied_in, print_copy, showing_progress
from admin.stores.choice import is_on_postgres, open_postgres
from admin.stores.files import status_if_any
from conf.health import is_healthy
from conf.settings import Settings
from conf.variables import SettingsError
from db.sqlite.audit import Audit
from db.sqlite.backup import backup, restore
from db.sqlite.snapshots import CATALOG, FILES, LOG, File, Snapshots
from db.sqlite.staging import InTheWay


def backup_files(given: argparse.Namespace, settings: Settings) -> int:
    """Backs up both files, and prints the audit of the backup."""
    if is_on_postgres(settings):
        raise SettingsError(
            "the store is on PostgreSQL: python -m admin copy-out copies its books, and pg_basebackup or pgBackRest "
            "back up its server"
        )
    with showing_progress("backup") as on_progress:
        result = backup(settings.data_dir, given.folder, on_progress)
    return _report_copy(result, given, given.folder)


def restore_files(given: argparse.Namespace, settings: Settings) -> int:
    """Restores a backup, and prints its audit."""
    if is_on_postgres(settings) and given.into is None:
        raise SettingsError(
            "the store is on PostgreSQL: python -m admin copy-in brings a backup there, and --into restores it to files"
        )
    folder = given.into or settings.data_dir
    only = next((file for file in FILES if file.name == given.only), None)
    if given.folder.resolve() == settings.data_dir.resolve():
        # The store may be running: a copy of its two files would not be of one moment.
        raise InTheWay(
            f"{given.folder} is the store's own folder (DATA_DIR) and no backup; name one that backup has made"
        )
    if folder.resolve() == settings.data_dir.resolve():
        _require_stopped(settings, only, "stop the store, or restore --into a folder")
    with showing_progress("restore") as on_progress:
        restored = restore(given.folder, folder, on_progress, only)
    for path in restored.set_aside:
        print(f"toy store: {path} was left by a lost database; the new one does not use it", file=sys.stderr)
    return _report_copy(restored.audit, given, folder, only)


def copy_books_out(given: argparse.Namespace, settings: Settings) -> int:
    """Copies the books from PostgreSQL to a folder, and prints their audit."""
    store = open_postgres(settings)
    with showing_progress("copy-out") as on_progress:
        result = store.copy_out(given.folder, on_progress, from_standby=given.standby)
    return _report_copy(result, given, given.folder)


def copy_books_in(given: argparse.Namespace, settings: Settings) -> int:
    """Copies the books in a folder to PostgreSQL, and prints their audit."""
    store = open_postgres(settings)
    _require_stopped(settings, None, "stop the store")
    with showing_progress("copy-in") as on_progress:
        result = store.copy_in(given.folder, on_progress)
    print_copied_in(result, store.status(), given.folder, given.json)
    return exit_code_of(result)


def _require_stopped(settings: Settings, only: File | None, advice: str) -> None:
    """Raises InTheWay while the tier of a file to be restored, or copied, runs.

    It asks the tiers instead of testing locks: a tier before its first request has no database open, and an empty
    folder has none to lock.
    """
    for file, tier in ((CATALOG, settings.catalog), (LOG, settings.order)):
        for address in {tier.local_address, *tier.addresses} if only in (None, file) else ():
            if is_healthy(address):
                raise InTheWay(f"the {tier.name} tier runs at {address}: {advice}")


def _report_copy(result: Audit, given: argparse.Namespace, folder: Path, only: File | None = None) -> int:
    """Prints the audit of the copy, and the status of the store in the folder if both of its files are there."""
    state = None
    if all((folder / file.name).is_file() for file in FILES):
        with Snapshots(folder) as snapshots:
            state = status_if_any(snapshots)
    print_copy(result, state, folder, only.name if only else None, given.json)
    return exit_code_of(result)
