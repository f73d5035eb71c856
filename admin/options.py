"""Parses the command line of `python -m admin`."""

import argparse
import functools
import uuid
from collections.abc import Callable
from typing import Any

import apsw

from conf.arguments import Parser, argument, folder
from conf.version import __version__
from db.sqlite.snapshots import FILES
from domain.errors import Invalid
from domain.names import parse_new_name
from domain.owner import REFUSED_NUMBER
from domain.selections import parse_day
from domain.values import (
    parse_key,
    parse_name,
    parse_note,
    parse_price,
    parse_quantity,
    parse_stock,
    parse_whole_number,
)

_DESCRIPTION = """\
Checks, repairs and copies the state of the toy store, and changes its products.
Every command may run beside the store, except a restore into its own folder.
The variable DATA_DIR is the folder of catalog.db and order.db (default: data). Where CATALOG_DATABASE and
ORDER_DATABASE have the addresses of PostgreSQL, the commands work there: audit and reconcile read a copy of the books
in a temporary folder (of TMPDIR)."""

_EXIT_CODES = """\
exit code: 0 done, nothing is wrong; 1 something is wrong, or the change is refused, and the output says why;
2 the command could not do its work, or the command line is wrong; 130 interrupted. A change that was made exits
with 0 even when its report cannot be printed. With --json an error is JSON too: {"error": "..."}"""

_AUDIT = """\
Checks the promises I1 to I6 in both databases, and names each discrepancy with its key, product or number. It only
reads them. A buy that is still running is no discrepancy. The file audit.json beside order.db records the verdict for
the owner's desk. docs/books.md lists the checks."""
_RECONCILE = """\
Shows which discrepancies can be repaired by appending: a key that was sold and is missing from the order log, and a
buy in doubt for more than 10 s; the same for returns. With --apply it finishes each under its own key, as the order
tier does: the catalog repeats its answer, or gives its first one, and the order log records it. No row is changed, and
none is deleted but the intent of what is finished."""
_BACKUP = """\
Copies both databases, as of one moment, to the folder DIR, and audits the copy. The files appear there when they are
complete and synced. DIR is created when it does not exist; no file is ever overwritten. Only the owner may read the
copy."""
_RESTORE = """\
Copies the databases of the backup in DIR into DATA_DIR, or into the folder of --into, upgrades an older schema, and
audits them. Stop the tiers first, and move existing databases out of the folder. With --only it restores one file,
beside the other one or in a volume of its own. It renames files that a lost database has left, such as
order.db-wal."""
_COPY_OUT = """\
Copies the books of both databases on PostgreSQL, as of one moment and beside the running store, to catalog.db and
order.db in the folder DIR, and audits them. The files appear there when they are complete and synced. DIR is created
when it does not exist; no file is ever overwritten. Only the owner may read the copy. A copy is a backup that copy-in
brings back, and DATA_DIR=DIR lets every other command read it."""
_COPY_IN = """\
Copies catalog.db and order.db in the folder DIR to the databases on PostgreSQL: all of it, or nothing. It creates the
schemas catalog and log, and refuses those that have rows. Buys in doubt stay in doubt: the order tier settles them.
Stop the tiers first. It audits the files before, and compares each table with its file after."""
_ORDERS = """\
Prints what was bought and refused, the newest first, with prices and pieces that were given back. Days and times are
UTC. It may run beside the store: a buy that ends meanwhile is not printed, and none is printed twice."""
_TAKINGS = """\
Prints pieces and revenue of each day and product, and what was given back. A return counts on its own day. Days are
UTC."""
_WRITEOFF = "Takes pieces out of stock that broke, were lost, or never came although a restock recorded them."
_CORRECT = """\
Sets the stock to the number of pieces that was counted, even when stock and ledger disagree. The ledger gets an entry
'correction', after which the two agree. Count the pieces for sale, without those that are sold and not yet sent."""
_RETURN = """\
Gives pieces of an order back: they are in stock again, also of a retired product, and the order log has the return.
Without PIECES, all pieces that are left. No more is given back than was bought."""
_ACCEPT = """\
Signs that one discrepancy of the audit is explained and stays. The audit then shows it as accepted and exits with 0,
until any word of the discrepancy changes. First repair what reconcile, correct or price can repair."""
_LOGIN = """\
Prints a link that opens the owner's desk once, within an hour. It is signed with OWNER_SECRET (or OWNER_SECRET_FILE),
else with the secret that `make run` keeps in DATA_DIR. The desk has to run: it takes no link that is older than
itself."""
_KEY = (
    "the change is made once for its key; the same command with the same key again changes nothing (default: a new key)"
)


def options(arguments: list[str]) -> argparse.Namespace:
    """Returns `command`, `json` and the command's own arguments, parsed. Exits with code 2 on wrong usage."""
    parser = _parser()
    with parser.reporting_wrong_usage(arguments):
        given = parser.parse_args(arguments)
        if "csv" in given and given.csv and given.json:
            parser.error("argument --csv: not allowed with argument --json")
        if "since" in given and given.since and given.until and given.until < given.since:
            parser.error(f"argument --until: {given.until} is before --since, {given.since}")
        return given


def _parser() -> Parser:
    parser = Parser(
        prog="python -m admin",
        description=_DESCRIPTION,
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    versions = f"toystore {__version__}, SQLite {apsw.sqlite_lib_version()}"
    parser.add_argument("--version", action="version", version=versions, help="the versions of the store and of SQLite")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def command(name: str, summary: str, description: str = "") -> argparse.ArgumentParser:
        added = commands.add_parser(
            name,
            help=summary,
            description=description or f"{summary[0].upper()}{summary[1:]}.",
            epilog=_EXIT_CODES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        added.add_argument("--json", action="store_true", help="print the result as JSON, for scripts")
        return added

    command(
        "status",
        "show the number of products, pieces, orders, returns and buys in doubt, file sizes, and the last order",
    )
    command("audit", "check the promises in both databases, and name each discrepancy", _AUDIT)
    reconcile = command("reconcile", "show which discrepancies appending can repair; --apply repairs them", _RECONCILE)
    reconcile.add_argument("--apply", action="store_true", help="repair them, and audit again")
    backup = command("backup", "copy the store to a new folder, and audit the copy", _BACKUP)
    backup.add_argument("folder", type=folder, metavar="DIR", help="the folder to make")
    restore = command("restore", "copy a backup into the store's folder, and audit it", _RESTORE)
    restore.add_argument("folder", type=folder, metavar="DIR", help="the backup")
    restore.add_argument("--only", choices=[file.name for file in FILES], help="restore this file alone")
    restore.add_argument("--into", type=folder, metavar="FOLDER", help="restore into this folder instead of DATA_DIR")
    copy_out = command("copy-out", "copy the books from PostgreSQL to a new folder, and audit the copy", _COPY_OUT)
    copy_out.add_argument("folder", type=folder, metavar="DIR", help="the folder to make")
    copy_out.add_argument("--standby", action="store_true", help="read from a standby, of the hosts in the addresses")
    copy_in = command("copy-in", "copy a folder's books to empty schemas on PostgreSQL, and audit them", _COPY_IN)
    copy_in.add_argument(
        "folder", type=folder, metavar="DIR", help="a copy, a backup, or the DATA_DIR of a stopped store"
    )
    _add_log_reports(command)
    _add_changes(command)
    command("login", "print a link that opens the owner's desk once", _LOGIN)
    return parser


def _add_log_reports(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Adds the commands that print the order log and its takings."""
    orders = command("orders", "print the orders, the newest first, and refused buys with the number -1", _ORDERS)
    report = command("report", "print the takings: pieces and revenue, net of returns", _TAKINGS)
    for reading in (orders, report):
        begin = reading.add_mutually_exclusive_group()
        begin.add_argument("--today", action="store_true", help="of this day alone")
        begin.add_argument("--since", type=argument(parse_day), metavar="DAY", help="from this day on")
        reading.add_argument("--until", type=argument(parse_day), metavar="DAY", help="until this day, with it")
        reading.add_argument("--product", type=argument(parse_name), metavar="NAME", help="of this product")
        reading.add_argument("--csv", action="store_true", help="print CSV, for spreadsheets")
    orders.add_argument("--key", dest="buy_key", type=argument(_parse_key), metavar="K", help="of this idempotency key")
    orders.add_argument(
        "--number", type=argument(_parse_logged_number), metavar="N", help="of this number; -1 for all refused buys"
    )
    orders.add_argument(
        "--limit",
        type=argument(_parse_limit),
        metavar="N",
        help="print so many at most (default: 100 in a table, all with --csv or --json)",
    )
    report.add_argument("--by", choices=["day", "product"], help="a line for each day, or for each product")


def _add_changes(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Adds the commands that have a key: the changes of the products, return and accept. `command` adds one of them."""
    price: dict[str, Any] = {"type": argument(parse_price), "metavar": "PRICE", "help": "of one piece, such as 25.99"}
    add = command("add", "sell a new product")
    restock = command("restock", "put more pieces of a product in stock")
    change_price = command("price", "change the price of a product, for the buys from now on")
    retire = command("retire", "take a product out of the shop, for good; its orders stay")
    writeoff = command("writeoff", "take pieces out of stock, with a note", _WRITEOFF)
    correct = command("correct", "set the stock to the number of pieces that was counted, with a note", _CORRECT)
    give_back = command("return", "give pieces of an order back into the stock", _RETURN)
    accept = command("accept", "accept a discrepancy that cannot be repaired, with a note", _ACCEPT)
    for change in (add, restock, change_price, retire, writeoff, correct):
        parse = parse_new_name if change is add else parse_name
        change.add_argument("name", type=argument(parse), metavar="NAME", help="the product")
    add.add_argument("price_cents", **price)
    add.add_argument("quantity", type=argument(parse_stock), metavar="QUANTITY", help="pieces in stock, 0 or more")
    restock.add_argument("quantity", type=argument(_parse_pieces), metavar="QUANTITY", help="pieces, 1 or more")
    writeoff.add_argument("quantity", type=argument(_parse_pieces), metavar="QUANTITY", help="pieces, 1 or more")
    correct.add_argument(
        "counted", type=argument(parse_stock), metavar="COUNTED", help="pieces that were counted, 0 or more"
    )
    change_price.add_argument("price_cents", **price)
    give_back.add_argument("number", type=argument(_parse_number), metavar="NUMBER", help="the number of the order")
    give_back.add_argument(
        "quantity",
        type=argument(parse_quantity),
        nargs="?",
        metavar="PIECES",
        help="pieces, 1 or more (default: all that are left)",
    )
    give_back.add_argument("--note", type=argument(parse_note), metavar="TEXT", help="the reason; it is stored")
    accept.add_argument(
        "fingerprint", metavar="FINGERPRINT", help="the fingerprint that the audit prints for the discrepancy"
    )
    for change in (writeoff, correct, accept):
        change.add_argument(
            "--note", type=argument(parse_note), required=True, metavar="TEXT", help="the reason; it is stored"
        )
    for change in (add, restock, change_price, retire, writeoff, correct, give_back, accept):
        change.add_argument("--key", type=argument(_parse_key), default=uuid.uuid4().hex, metavar="K", help=_KEY)


def _parse_number(text: str) -> int:
    """Returns the text as the number of an order. Raises Invalid."""
    number = parse_whole_number(text)
    if number is None:
        raise Invalid(f"the number {text!r} is not a whole number in ASCII digits")
    return number


def _parse_logged_number(text: str) -> int:
    """Returns the text as a number of the order log. Raises Invalid."""
    return REFUSED_NUMBER if text == str(REFUSED_NUMBER) else _parse_number(text)


def _parse_limit(text: str) -> int:
    """Returns the text as a number of rows. Raises Invalid."""
    limit = parse_whole_number(text)
    if not limit:
        raise Invalid(f"the number of rows {text!r} is not a whole number above 0")
    return limit


_parse_key = functools.partial(parse_key, called="the key")
_parse_pieces = functools.partial(parse_stock, least=1)
