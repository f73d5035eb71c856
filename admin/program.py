"""Runs the commands of `python -m admin`. The function of each command returns the exit code."""

import argparse
import logging
import os
import pwd
import sys
import time
from collections.abc import Callable, Container
from contextlib import closing
from pathlib import Path

import apsw

from admin import log_reports
from admin.options import options
from admin.report import (
    print_accepted,
    print_audit,
    print_change,
    print_copy,
    print_login_link,
    print_reconciled,
    print_returned,
    print_status,
    showing_progress,
)
from conf.health import is_healthy
from conf.output import exit_code, print_failure
from conf.owner_secret import login_link, with_owner
from conf.settings import Settings, SettingsError, load_only
from db.sqlite.audit import Audit, Discrepancy, audit
from db.sqlite.audit.acceptance import accept, was_accepted
from db.sqlite.backup import CopyFailed, backup, restore
from db.sqlite.catalog import CatalogStore
from db.sqlite.errors import DAMAGE
from db.sqlite.last_audit import record_audit
from db.sqlite.order import OrderStore
from db.sqlite.product_admin import ProductAdmin
from db.sqlite.reconcile import reconcile, require_one_store
from db.sqlite.snapshots import CATALOG, FILES, LOG, Damaged, File, Snapshots, Unreadable, require_readable
from db.sqlite.staging import InTheWay
from db.sqlite.status import Status, status
from db.start import StartRefused
from domain.errors import Invalid, StoreError, Unavailable
from domain.protocols import Placed
from domain.returns import Return, ReturnOutcome, Returns
from domain.values import Buy, Product

# The exit codes, as `--help` explains them.
CLEAN, WRONG, FAILED = 0, 1, 2

Command = Callable[[argparse.Namespace, Settings], int]


def main(arguments: list[str]) -> int:
    """Runs the program and returns its exit code."""
    given = options(arguments)
    logging.getLogger("db.outages").addHandler(logging.NullHandler())  # this program prints the same errors itself
    # A report that cannot be printed fails a command that only reports. It does not undo a change or a copy.
    is_report = given.command in REPORTS and not ("apply" in given and given.apply)
    return exit_code(_run(given), FAILED if is_report else None, "toy store")


def _run(given: argparse.Namespace) -> int:
    """Runs the command. Prints an error of the store, its files or its settings as one line."""
    try:
        settings = load_only(*SETTINGS_OF.get(given.command, ["DATA_DIR"]))
    except SettingsError as error:
        return _fail(given, FAILED, str(error))
    try:
        return COMMANDS[given.command](given, settings)
    except Unavailable as error:
        notes = getattr(error, "__notes__", [])  # the first note, if any, says what the owner must do before a retry
        with_key = f" with --key {given.key}" if "key" in given else ""
        return _fail(given, FAILED, f"{notes[0]}; then try again{with_key}" if notes else f"{error}{with_key}")
    except StoreError as refusal:
        return _fail(given, WRONG, f"{refusal}; nothing was changed", speaker=given.command)
    except DAMAGE as error:
        advice = "python -m admin audit names the file, restore brings a backup back"
        return _fail(given, FAILED, f"{settings.data_dir}: a database is damaged ({error}); {advice}")
    except (Unreadable, InTheWay, CopyFailed, StartRefused, apsw.Error, OSError) as error:
        return _fail(given, FAILED, str(error))


def _fail(given: argparse.Namespace, code: int, why: str, speaker: str = "toy store") -> int:
    print_failure(speaker, why, as_json=given.json)
    return code


def _status(given: argparse.Namespace, settings: Settings) -> int:
    with Snapshots(settings.data_dir) as snapshots:
        print_status(status(snapshots), given.json)
    return CLEAN


def _audit(given: argparse.Namespace, settings: Settings) -> int:
    begun = time.monotonic()
    try:
        with Snapshots(settings.data_dir) as snapshots, showing_progress("audit") as on_progress:
            result, state = audit(snapshots, on_progress=on_progress), _status_if_any(snapshots)
    except Damaged as damaged:
        result, state = Audit((Discrepancy("file", damaged.name, str(damaged)),)), None
    record_audit(settings.data_dir, result)
    print_audit(result, state, time.monotonic() - begun, given.json)
    return _code(result)


def _reconcile(given: argparse.Namespace, settings: Settings) -> int:
    with Snapshots(settings.data_dir) as snapshots, showing_progress("reconcile") as on_progress:
        remaining = audit(snapshots, on_progress=on_progress)
        repaired: list[tuple[Buy | Return, Placed | ReturnOutcome]] = []
        # A repair may make another one possible: a return needs the number of its order.
        while given.apply and (repairs := _repairs(remaining, {one.key for one, _ in repaired})):
            repaired += reconcile(settings.data_dir, repairs)
            remaining = audit(snapshots, on_progress=on_progress)
    record_audit(settings.data_dir, remaining)
    print_reconciled(repaired, remaining, given.json)
    return _code(remaining)


def _repairs(result: Audit, tried: Container[str]) -> list[Buy | Return]:
    """Returns what reconcile can settle, without the keys that it has tried."""
    repairs = [discrepancy.repair for discrepancy in result.discrepancies if discrepancy.repair is not None]
    return [repair for repair in repairs if repair.key not in tried]


def _backup(given: argparse.Namespace, settings: Settings) -> int:
    with showing_progress("backup") as on_progress:
        result = backup(settings.data_dir, given.folder, on_progress)
    return _report_copy(result, given, given.folder)


def _restore(given: argparse.Namespace, settings: Settings) -> int:
    folder = given.into or settings.data_dir
    only = next((file for file in FILES if file.name == given.only), None)
    if given.folder.resolve() == settings.data_dir.resolve():
        # The store may be running: a copy of its two files would not be of one moment.
        raise InTheWay(
            f"{given.folder} is the store's own folder (DATA_DIR) and no backup; name one that backup has made"
        )
    if folder.resolve() == settings.data_dir.resolve():
        _require_stopped(settings, only)
    with showing_progress("restore") as on_progress:
        restored = restore(given.folder, folder, on_progress, only)
    for path in restored.set_aside:
        print(f"toy store: {path} was left by a lost database; the new one does not use it", file=sys.stderr)
    return _report_copy(restored.audit, given, folder, only)


def _require_stopped(settings: Settings, only: File | None) -> None:
    """Raises InTheWay while the tier of a file to be restored runs.

    It asks the tiers instead of testing locks: a tier before its first request has no database open, and an empty
    folder has none to lock.
    """
    for file, tier in ((CATALOG, settings.catalog), (LOG, settings.order)):
        for address in {tier.local_address, tier.address} if only in (None, file) else ():
            if is_healthy(address):
                raise InTheWay(f"the {tier.name} tier runs at {address}: stop the store, or restore --into a folder")


def _report_copy(result: Audit, given: argparse.Namespace, folder: Path, only: File | None = None) -> int:
    """Prints the audit of the copy, and the status of the store in the folder if both of its files are there."""
    state = None
    if all((folder / file.name).is_file() for file in FILES):
        with Snapshots(folder) as snapshots:
            state = _status_if_any(snapshots)
    print_copy(result, state, folder, only.name if only else None, given.json)
    return _code(result)


def _status_if_any(snapshots: Snapshots) -> Status | None:
    """Returns the status of the store; None when a discrepancy, such as a missing table, makes it unreadable."""
    try:
        return status(snapshots)
    except (apsw.SQLError, apsw.CorruptError):
        return None


def _code(result: Audit) -> int:
    return CLEAN if result.is_clean else WRONG


def _change(given: argparse.Namespace, settings: Settings) -> int:
    """Changes a product. A change that was made before under its key exits with 0 too."""
    require_readable(settings.data_dir, CATALOG)  # raises Unreadable where there is no catalog
    path = settings.data_dir / CATALOG.name
    with closing(ProductAdmin(path)) as products, closing(CatalogStore(path)) as catalog:
        match given.command:
            case "add":
                is_new = products.add(Product(given.name, given.price_cents, given.quantity), given.key)
            case "restock":
                is_new = products.restock(given.name, given.quantity, given.key)
            case "writeoff":
                is_new = products.writeoff(given.name, given.quantity, given.note, given.key)
            case "correct":
                is_new = products.correct(given.name, given.counted, given.note, given.key)
            case "price":
                is_new = products.price(given.name, given.price_cents, given.key)
            case _:
                is_new = products.retire(given.name, given.key)
        [product] = catalog.lookup([given.name])
    print_change(given.name, product if isinstance(product, Product) else None, given.key, is_new, given.json)
    return CLEAN


def _login(given: argparse.Namespace, settings: Settings) -> int:
    try:
        settings = with_owner(settings)
    except SettingsError as error:
        return _fail(given, FAILED, str(error))
    if not is_healthy(settings.back_office.local_address):
        where = settings.back_office.local_address.url
        return _fail(given, FAILED, f"the back office does not answer at {where}, and takes no link older than itself")
    print_login_link(login_link(settings), given.json)
    return CLEAN


def _return(given: argparse.Namespace, settings: Settings) -> int:
    """Gives pieces of an order back. A return that was made before under its key exits with 0 too."""
    folder = settings.data_dir
    for file in FILES:
        require_readable(folder, file)  # raises Unreadable where it is missing
    require_one_store(folder)
    with closing(CatalogStore(folder / CATALOG.name)) as catalog, closing(OrderStore(folder / LOG.name)) as log:
        asked = Return(given.key, given.number, given.quantity, given.note)
        returned = Returns(log, catalog).give_back(asked)
        order = log.order(given.number)
    print_returned(returned, order, given.key, given.json)
    return CLEAN


def _accept(given: argparse.Namespace, settings: Settings) -> int:
    """Accepts one discrepancy, which the audit must find now, or which was accepted before under the key."""
    with Snapshots(settings.data_dir) as snapshots, showing_progress("audit") as on_progress:
        result = audit(snapshots, on_progress=on_progress)
    path = settings.data_dir / CATALOG.name
    all_found = (*result.discrepancies, *(one.discrepancy for one in result.accepted))
    found_now = next((one for one in all_found if one.fingerprint == given.fingerprint), None)
    if found_now is not None:
        is_new = accept(path, found_now, given.note, _user(), given.key)
    elif was_accepted(path, given.fingerprint, given.note, given.key):
        is_new = False
    else:
        raise Invalid(f"the audit finds no discrepancy {given.fingerprint}")
    print_accepted(given.fingerprint, found_now, given.key, is_new, given.json)
    return CLEAN


def _user() -> str:
    """Returns the name of the user; the number of a user without a name, as in a container."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"user {os.getuid()}"


# The settings of the commands that need more than DATA_DIR. A wrong address of a tier thus breaks no other command.
SETTINGS_OF = {
    "restore": ["DATA_DIR", "CATALOG", "CATALOG_BIND", "ORDER", "ORDER_BIND"],
    "login": ["DATA_DIR", "OWNER_SECRET", "OWNER_SECRET_FILE", "BACK_OFFICE", "BACK_OFFICE_BIND"],
}

# The commands whose only result is the report. `reconcile --apply` repairs as well.
REPORTS = ("status", "audit", "reconcile", "login", "orders", "report")

COMMANDS: dict[str, Command] = {
    "status": _status,
    "audit": _audit,
    "reconcile": _reconcile,
    "backup": _backup,
    "restore": _restore,
    "add": _change,
    "restock": _change,
    "price": _change,
    "retire": _change,
    "writeoff": _change,
    "correct": _change,
    "return": _return,
    "accept": _accept,
    "login": _login,
    "orders": log_reports.orders,
    "report": log_reports.report,
}
