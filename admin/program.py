"""Runs the commands of `python -m admin`. The function of each command returns the exit code."""

import argparse
import logging
import os
import pwd
import time
from collections.abc import Callable, Container

import apsw

from admin import copies, log_reports
from admin.exit_codes import CLEAN, FAILED, WRONG, exit_code_of
from admin.options import options
from admin.report import (
    print_accepted,
    print_audit,
    print_change,
    print_login_link,
    print_reconciled,
    print_returned,
    print_status,
    showing_progress,
)
from admin.stores import AuditedBooks
from admin.stores.choice import open_store
from conf.health import is_healthy
from conf.output import exit_code, print_failure
from conf.owner_secret import login_link, with_owner
from conf.settings import Settings, load_only
from conf.variables import SettingsError
from db.sqlite.audit import Audit, Discrepancy
from db.sqlite.backup import CopyFailed
from db.sqlite.errors import DAMAGE
from db.sqlite.snapshots import Damaged, Unreadable
from db.sqlite.staging import InTheWay
from db.start import StartRefused
from domain.errors import Invalid, StoreError, Unavailable
from domain.returns import Return, Returns
from domain.settlement import Settled
from domain.values import Buy, Product

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
        settings = load_only(*SETTINGS_OF.get(given.command, STATE))
        return COMMANDS[given.command](given, settings)
    except SettingsError as error:
        return _fail(given, FAILED, str(error))
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
    print_status(open_store(settings).status(), given.json)
    return CLEAN


def _audit(given: argparse.Namespace, settings: Settings) -> int:
    begun = time.monotonic()
    store = open_store(settings)
    try:
        with showing_progress("audit") as on_progress:
            audited = store.audit(on_progress)
    except Damaged as damaged:
        audited = AuditedBooks(Audit((Discrepancy("file", damaged.name, str(damaged)),)), None)
    store.record(audited.audit)
    print_audit(audited.audit, audited.status, time.monotonic() - begun, given.json)
    return exit_code_of(audited.audit)


def _reconcile(given: argparse.Namespace, settings: Settings) -> int:
    store = open_store(settings)
    with showing_progress("reconcile") as on_progress:
        remaining = store.audit(on_progress).audit
        repaired: list[Settled] = []
        # A repair may make another one possible: a return needs the number of its order.
        while given.apply and (repairs := _repairs(remaining, {one.key for one, _ in repaired})):
            repaired += store.settle(repairs)
            remaining = store.audit(on_progress).audit
    store.record(remaining)
    print_reconciled(repaired, remaining, given.json)
    return exit_code_of(remaining)


def _repairs(result: Audit, tried: Container[str]) -> list[Buy | Return]:
    """Returns what reconcile can settle, without the keys that it has tried."""
    repairs = [discrepancy.repair for discrepancy in result.discrepancies if discrepancy.repair is not None]
    return [repair for repair in repairs if repair.key not in tried]


def _change(given: argparse.Namespace, settings: Settings) -> int:
    """Changes a product. A change that was made before under its key exits with 0 too."""
    with open_store(settings).changes() as (products, catalog):
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
    with open_store(settings).tiers() as (log, catalog):
        asked = Return(given.key, given.number, given.quantity, given.note)
        returned = Returns(log, catalog).give_back(asked)
        order = log.order(given.number)
    print_returned(returned, order, given.key, given.json)
    return CLEAN


def _accept(given: argparse.Namespace, settings: Settings) -> int:
    """Accepts one discrepancy, which the audit must find now, or which was accepted before under the key."""
    store = open_store(settings)
    with showing_progress("audit") as on_progress:
        result = store.audit(on_progress).audit
    all_found = (*result.discrepancies, *(one.discrepancy for one in result.accepted))
    found_now = next((one for one in all_found if one.fingerprint == given.fingerprint), None)
    if found_now is not None:
        is_new = store.accept(found_now, given.note, _user(), given.key)
    elif store.was_accepted(given.fingerprint, given.note, given.key):
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


# The settings that say where the state of the store is.
STATE = [
    "DATA_DIR",
    *("CATALOG_DATABASE", "CATALOG_DATABASE_FILE"),
    *("ORDER_DATABASE", "ORDER_DATABASE_FILE"),
]

# The settings of the commands that need more than the state. A wrong address of a tier thus breaks no other command.
SETTINGS_OF = {
    "restore": [*STATE, "CATALOG", "CATALOG_BIND", "ORDER", "ORDER_BIND"],
    "copy-in": [*STATE, "CATALOG", "CATALOG_BIND", "ORDER", "ORDER_BIND"],
    "login": ["DATA_DIR", "OWNER_SECRET", "OWNER_SECRET_FILE", "BACK_OFFICE", "BACK_OFFICE_BIND"],
}

# The commands whose only result is the report. `reconcile --apply` repairs as well.
REPORTS = ("status", "audit", "reconcile", "login", "orders", "report")

COMMANDS: dict[str, Command] = {
    "status": _status,
    "audit": _audit,
    "reconcile": _reconcile,
    "backup": copies.backup_files,
    "copy-in": copies.copy_books_in,
    "copy-out": copies.copy_books_out,
    "restore": copies.restore_files,
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
