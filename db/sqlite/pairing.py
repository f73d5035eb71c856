"""Checks that a catalog and an order log belong to one store, and that neither is older than the other.

Both files hold the id of their store. The newest rows show the age: each order must be sold in the catalog, and each
sale must be ordered or in doubt in the log. These checks find a lost file, another store's file, and a file from an
older backup.
"""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import apsw

import domain.pairing
from db.sqlite.connection import fetch_all, transaction
from db.sqlite.errors import explain, is_lasting
from db.sqlite.read_only import is_missing_or_empty, open_read_only
from db.sqlite.wal_check import foreign_wal
from db.start import StartPostponed, StartRefused
from domain.pairing import MAX_NEWEST, Introduction, lacks_a_sale

CATALOG_NAME, LOG_NAME = "catalog.db", "order.db"

_HOW_TO_AUDIT = "python -m admin audit checks the store, python -m admin restore restores a backup"
# Without one of the files, an audit is impossible.
_HOW_TO_RESTORE = "python -m admin restore restores a backup, with --only {0} its {0} alone, see docs/books.md"


def store_id(path: Path) -> str | None:
    """Returns the id of the store in this file; None when the file is missing, empty, or of a schema without ids.

    Raises apsw.Error for a file that cannot be read.
    """
    with open_read_only(path) as connection:
        return None if connection is None else id_in(connection)


def find_mismatch(folder: Path) -> str | None:
    """Returns why the catalog and the order log in this folder do not match; None when they do, or both are missing.

    Neither file is changed. Raises apsw.Error for a file that cannot be read.
    """
    catalog_path, log_path = folder / CATALOG_NAME, folder / LOG_NAME
    with open_read_only(log_path) as log, open_read_only(catalog_path) as catalog:
        if log is None:
            if catalog is not None and introduce(catalog, None).newest_sold:
                return f"{log_path} is missing, and {catalog_path} has sales that must be in it"
            return None
        if catalog is None:
            if id_in(log) is not None or _is_used(log):
                return f"{catalog_path} is missing, and {log_path} has the orders of its store"
            return None
        # Read the log's newest order, then the catalog, then the log again: a buy may be under way. Its intent is
        # logged before its sale, and its sale before its order.
        if why := mismatch(log, introduce(catalog, last_order(log))):
            return f"{log_path} is not the order log of {catalog_path}: {why}"
        for number, key in newest_orders(log):
            if not is_sold(catalog, key):
                return f"{catalog_path} has not sold order {number} of {log_path}, so it is an older one or another's"
        return None


def find_different_ids(folder: Path) -> str | None:
    """Returns why the two files in this folder are of two stores; None when their ids are equal or one has none.

    Raises apsw.Error for a file that cannot be read.
    """
    catalog, log = store_id(folder / CATALOG_NAME), store_id(folder / LOG_NAME)
    if None in (catalog, log) or catalog == log:
        return None
    return f"{folder / LOG_NAME} is of store {log}, {folder / CATALOG_NAME} is of store {catalog}"


def give_id_of_log(folder: Path, log_path: Path) -> None:
    """Gives the id of the log beside it to a catalog that was restored from a schema without ids.

    The migration of the restored catalog made a new id. The log's id replaces it only if the log has the catalog's
    newest sale, which shows that the two match.
    """
    with open_read_only(log_path) as log, closing(apsw.Connection(str(folder / CATALOG_NAME))) as catalog:
        id = None if log is None else id_in(log)
        if log is None or id is None or lacks_a_sale(introduce(catalog, None), _is_ordered_in(log)):
            return
        with transaction(catalog):
            [(trigger,)] = fetch_all(catalog, _ID_TRIGGER, {})
            fetch_all(catalog, "DROP TRIGGER store_update", {})
            fetch_all(catalog, "UPDATE store SET id = :id", {"id": id})
            fetch_all(catalog, trigger, {})


_ID_TRIGGER = "SELECT sql FROM sqlite_schema WHERE type = 'trigger' AND name = 'store_update'"


def require_matching(folder: Path, own: str, *, has_other: bool = True) -> str | None:
    """Checks the folder before a tier starts on its file `own`. Raises StartRefused when the two files do not match.

    The other file may be missing, because its tier may run on another machine. Returns a warning when the other file
    exists and cannot be read. Without `has_other` a file there is none of this store: its tier is on another engine.
    """
    other = folder / (LOG_NAME if own == CATALOG_NAME else CATALOG_NAME)
    _require_readable(folder / own)
    if not has_other:
        return None
    if is_missing_or_empty(other) and not is_missing_or_empty(folder / own):
        return None
    try:
        why = find_mismatch(folder)
    except (apsw.Error, OSError) as error:
        unreadable = f"{explain(other, error)}; {_HOW_TO_AUDIT}"
        if is_missing_or_empty(folder / own):
            raise StartRefused(f"{folder / own} is not created beside an unreadable file: {unreadable}") from error
        return unreadable
    if why is not None:
        lost = [name for name in (CATALOG_NAME, LOG_NAME) if is_missing_or_empty(folder / name)]
        raise StartRefused(f"{why}; {_HOW_TO_RESTORE.format(*lost) if lost else _HOW_TO_AUDIT}")
    return None


def _require_readable(path: Path) -> None:
    """Raises StartRefused for a file that cannot be read, or StartPostponed when a later start may succeed."""
    if why := foreign_wal(path):
        raise StartRefused(why)
    try:
        with open_read_only(path) as connection:
            if connection is not None:
                # For their errors alone: together they read the tables of either file.
                introduce(connection, None)
                last_order(connection)
                _is_used(connection)
    except apsw.SQLError as error:  # a table or a column is missing, and no later start can succeed
        advice = "set DATA_DIR to another folder, or run python -m admin audit if it is"
        raise StartRefused(f"{path} is not a database of this tier ({error}); {advice}") from error
    except (apsw.Error, OSError) as error:
        kind = StartRefused if is_lasting(path, error) or isinstance(error, OSError) else StartPostponed
        raise kind(explain(path, error, "DATA_DIR")) from error


_TABLES = "SELECT name FROM sqlite_schema WHERE type = 'table'"
_ID = "SELECT id FROM store"


def id_in(connection: apsw.Connection) -> str | None:
    """Returns the id of the store in this database; None when it has none yet."""
    if "store" not in _tables(connection):
        return None
    rows = fetch_all(connection, _ID, {})
    return str(rows[0][0]) if rows else None


def _tables(connection: apsw.Connection) -> set[str]:
    """Returns the names of all tables. After an interrupted first start some of ours are missing."""
    return {name for (name,) in fetch_all(connection, _TABLES, {})}


_NEWEST_SOLD = "SELECT key FROM stock_ledger WHERE reason = 'sold' ORDER BY entry DESC LIMIT :limit"
_IS_SOLD = "SELECT 1 FROM stock_ledger WHERE key = :key AND reason = 'sold'"
# The subject that db/sqlite/audit/orders.py gives to an order that was never sold.
_IS_ACCEPTED = """
    SELECT 1 FROM accepted_discrepancies
    WHERE subject GLOB 'order [0-9]*' AND substr(subject, instr(subject, ', key ') + 6) = :key"""


def introduce(catalog: apsw.Connection, last_order: str | None) -> Introduction:
    """Describes this catalog to a log whose newest order has the key `last_order`."""
    id = id_in(catalog)
    if "stock_ledger" not in _tables(catalog):
        return Introduction(id, (), last_order is None)
    newest_sold = tuple(key for (key,) in fetch_all(catalog, _NEWEST_SOLD, {"limit": MAX_NEWEST}))
    return Introduction(id, newest_sold, last_order is None or is_sold(catalog, last_order))


def is_sold(catalog: apsw.Connection, key: str) -> bool:
    """Whether this catalog has a sale under the key, or its owner has accepted that the sale is missing.

    Acceptance allows an older catalog beside a newer log: the owner corrects the stock and accepts each lost sale.
    """
    if fetch_all(catalog, _IS_SOLD, {"key": key}):
        return True
    return "accepted_discrepancies" in _tables(catalog) and bool(fetch_all(catalog, _IS_ACCEPTED, {"key": key}))


# The newest order alone would not show the catalog's age: it may have been in doubt for long, so that an older catalog
# has its sale, and lacks the sales of earlier orders.
_NEWEST_ORDERS = "SELECT number, key FROM orders ORDER BY number DESC LIMIT :limit"
# In one statement, because a buy may move from intents to orders between two.
_IS_ORDERED = "SELECT TRUE FROM orders WHERE key = :key UNION ALL SELECT FALSE FROM intents WHERE key = :key"
_USED = "SELECT 1 FROM orders UNION ALL SELECT 1 FROM refused LIMIT 1"


def newest_orders(log: apsw.Connection, limit: int = MAX_NEWEST) -> list[tuple[int, str]]:
    """Returns number and key of the newest orders, newest first."""
    return fetch_all(log, _NEWEST_ORDERS, {"limit": limit}) if "orders" in _tables(log) else []


def last_order(log: apsw.Connection) -> str | None:
    """Returns the key of the newest order; None when there is none."""
    orders = newest_orders(log, limit=1)
    return orders[0][1] if orders else None


def _is_used(log: apsw.Connection) -> bool:
    """Whether a catalog has ever answered this log. Intents do not count: a log writes them before the first answer."""
    return "orders" in _tables(log) and bool(fetch_all(log, _USED, {}))


def mismatch(log: apsw.Connection, catalog: Introduction) -> str | None:
    """Returns why this log does not match the catalog that introduced itself, see domain.pairing.mismatch."""
    return domain.pairing.mismatch(id_in(log), catalog, _is_ordered_in(log))


def _is_ordered_in(log: apsw.Connection) -> Callable[[str], bool | None]:
    """Returns the function that tells whether a key is ordered in this log, or in doubt: see domain.pairing."""
    if "orders" not in _tables(log):
        return lambda _key: None

    def is_ordered(key: str) -> bool | None:
        rows = fetch_all(log, _IS_ORDERED, {"key": key})
        return bool(rows[0][0]) if rows else None

    return is_ordered
