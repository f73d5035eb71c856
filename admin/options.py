"""The command line of the program of the books."""

import argparse
import functools
import uuid
from collections.abc import Callable
from typing import Any

import apsw

from conf.arguments import Parser, argument, folder
from conf.version import __version__
from db.snapshots import FILES
from domain.names import parse_new_name
from domain.values import parse_key, parse_name, parse_note, parse_price, parse_stock

_DESCRIPTION = """\
The books of the toy store: look at them, prove them, copy them, and change what the store sells.
All of it is safe beside the running store, except restore, which makes a new folder.
The variable DATA_DIR says where catalog.db and order.db are (default: data)."""

_EXIT_CODES = """\
exit code: 0 done, nothing is wrong; 1 something is wrong, or the answer is no, and the output says what;
2 it could not be done or known; 130 interrupted. A change that was made is done, also when its report cannot be
printed. With --json a failure is JSON too: {"error": "..."}"""

_AUDIT = """\
Check the promises I1 to I6 in both databases, to read only, and name each discrepancy with its key, product or number.
Buys that are under way are none. docs/books.md lists what is checked."""
_RECONCILE = """\
Show what can be repaired by appending: a key that was sold and is missing from the log, and a buy in doubt for more
than 10 s. With --apply each is brought to its end under its own key, as the order tier does it: the catalog repeats
its answer, or gives its first one, and the log takes it down. Nothing in the books is changed or taken out."""
_BACKUP = """\
Copy both databases, as they stand at one moment, to the folder DIR, and audit the copy. They appear in it when all is
on disk, and not before. DIR is made if need be; what is there is never written over. Only its owner may read the
copy."""
_RESTORE = """\
Put the databases of the backup in DIR into DATA_DIR, or into the folder of --into, upgrade their schema if need be, and
audit them. The folder must hold neither of them, and no tier may be running: what is in the way you move away yourself.
With --only one file is restored, beside the other one or in a volume of its own. What a lost file has left at its
name, such as order.db-wal, is set aside."""
_WRITEOFF = """\
Take pieces out of stock that broke, were lost, or never came, though a restock said so."""
_CORRECT = """\
Set the stock to what was counted, whatever it and its ledger said: an entry 'correction' of the ledger, from which the
two go on together. Count what is still for sale: without what is sold and not yet sent."""
_ACCEPT = """\
Sign that one discrepancy of the audit is explained and stays. The audit then shows it as accepted, and is content with
it as long as not a word of it changes. First repair what can be repaired: reconcile, correct, price."""
_KEY = (
    "the change happens once for its key; the same command with the same key again changes nothing (default: a new key)"
)


def options(arguments: list[str]) -> argparse.Namespace:
    """`command`, `json`, and what the command needs, parsed. Ends the program with exit code 2 on wrong usage."""
    parser = _parser()
    with parser.wrong_usage_told(arguments):
        return parser.parse_args(arguments)


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
        added.add_argument("--json", action="store_true", help="the result as JSON, for scripts")
        return added

    command("status", "how the store stands: products, stock, orders, buys in doubt, sizes, the last order")
    command("audit", "check that the books are right, and name what is not", _AUDIT)
    reconcile = command("reconcile", "show what can be repaired by appending, and repair it", _RECONCILE)
    reconcile.add_argument("--apply", action="store_true", help="repair, and audit again")
    backup = command("backup", "copy the store to a new folder, and audit the copy", _BACKUP)
    backup.add_argument("folder", type=folder, metavar="DIR", help="the folder to make")
    restore = command("restore", "make the store's folder from a backup, and audit it", _RESTORE)
    restore.add_argument("folder", type=folder, metavar="DIR", help="the backup")
    restore.add_argument("--only", choices=[file.name for file in FILES], help="restore this file alone")
    restore.add_argument("--into", type=folder, metavar="FOLDER", help="another folder than DATA_DIR, to look at it")
    _add_changes(command)
    return parser


def _add_changes(command: Callable[..., argparse.ArgumentParser]) -> None:
    """The commands that change what the store sells. Each has a key."""
    price: dict[str, Any] = {"type": argument(parse_price), "metavar": "PRICE", "help": "of one piece, such as 25.99"}
    add = command("add", "sell a new product")
    restock = command("restock", "put more pieces of a product in stock")
    change_price = command("price", "change the price of a product, for the buys from now on")
    retire = command("retire", "take a product out of the shop, for good; what was bought of it stays in the books")
    writeoff = command("writeoff", "take pieces out of stock, with a note why", _WRITEOFF)
    correct = command("correct", "set the stock to what was counted, with a note why", _CORRECT)
    accept = command("accept", "accept a discrepancy that cannot be repaired, with a note why", _ACCEPT)
    for change in (add, restock, change_price, retire, writeoff, correct):
        parse = parse_new_name if change is add else parse_name
        change.add_argument("name", type=argument(parse), metavar="NAME", help="the product")
    add.add_argument("price_cents", **price)
    add.add_argument("quantity", type=argument(parse_stock), metavar="QUANTITY", help="pieces in stock, 0 or more")
    restock.add_argument("quantity", type=argument(_parse_pieces), metavar="QUANTITY", help="pieces, 1 or more")
    writeoff.add_argument("quantity", type=argument(_parse_pieces), metavar="QUANTITY", help="pieces, 1 or more")
    correct.add_argument(
        "counted", type=argument(parse_stock), metavar="COUNTED", help="pieces that are there, 0 or more"
    )
    change_price.add_argument("price_cents", **price)
    accept.add_argument("fingerprint", metavar="FINGERPRINT", help="the name that the audit gives to the discrepancy")
    for change in (writeoff, correct, accept):
        change.add_argument("--note", type=argument(parse_note), required=True, metavar="TEXT", help="why; it is kept")
    for change in (add, restock, change_price, retire, writeoff, correct, accept):
        change.add_argument("--key", type=argument(_parse_key), default=uuid.uuid4().hex, metavar="K", help=_KEY)


_parse_key = functools.partial(parse_key, called="the key")
_parse_pieces = functools.partial(parse_stock, least=1)
