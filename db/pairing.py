"""Whether a catalog and an order log are of one store, and of one age: both are known by what is in them.

Both files have the id of their store, and each proves the age of the other by its newest row: what a log has ordered,
its catalog has sold, and what a catalog has sold, its log has ordered or in doubt. So a file that was lost, that is
another store's, or that was put there from an older backup does not go unnoticed.
"""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import apsw

from db.connection import StartPostponed, StartRefused, fetch_all, transaction
from db.errors import explain, is_lasting
from db.peek import is_new, peek
from db.wal_check import foreign_wal
from domain.pairing import Introduction

CATALOG_NAME, LOG_NAME = "catalog.db", "order.db"

_WAY_OUT = "python -m admin audit tells how the store stands, python -m admin restore brings a backup back"
_WAY_BACK = "python -m admin restore brings a backup back, with --only {0} its {0} alone, see docs/books.md"


def store_id(path: Path) -> str | None:
    """The id of the store that this file is of; None for one that is missing, empty, or of before ids.

    Raises apsw.Error for a file that cannot be read.
    """
    with peek(path) as connection:
        return None if connection is None else id_in(connection)


def why_apart(folder: Path) -> str | None:
    """Why the catalog and the order log in this folder are not one store; None when they are, or there is neither.

    Neither file is changed. Raises apsw.Error for a file that cannot be read.
    """
    catalog_path, log_path = folder / CATALOG_NAME, folder / LOG_NAME
    with peek(log_path) as log, peek(catalog_path) as catalog:
        if log is None:
            if catalog is not None and introduce(catalog, None).newest_sold:
                return f"{log_path} is missing, and {catalog_path} has sold what stands in it"
            return None
        if catalog is None:
            if id_in(log) is not None or _is_used(log):
                return f"{catalog_path} is missing, and {log_path} has the orders of its store"
            return None
        # The log, the catalog, the log: what is ordered was sold before, and what is sold was in doubt before.
        if why := objection(log, introduce(catalog, last_order(log))):
            return f"{log_path} is not the order log of {catalog_path}: {why}"
        for number, key in newest_orders(log):
            if not is_sold(catalog, key):
                return f"{catalog_path} has not sold order {number} of {log_path}, so it is an older one or another's"
        return None


def other_store(folder: Path) -> str | None:
    """Why the two files in this folder are of two stores, by their ids; None when they are of one, or lack an id.

    Raises apsw.Error for a file that cannot be read.
    """
    catalog, log = store_id(folder / CATALOG_NAME), store_id(folder / LOG_NAME)
    if None in (catalog, log) or catalog == log:
        return None
    return f"{folder / LOG_NAME} is of store {log}, {folder / CATALOG_NAME} is of store {catalog}"


def give_id_of_log(folder: Path, log_path: Path) -> None:
    """Give a catalog from before ids, in its new schema, the id of the log that it is put beside.

    Only if the log has what it has sold last: by that it is known, as a log from before ids knows its catalog.
    """
    with peek(log_path) as log, closing(apsw.Connection(str(folder / CATALOG_NAME))) as catalog:
        id = None if log is None else id_in(log)
        if log is None or id is None or _lacks_a_sale(log, introduce(catalog, None).newest_sold):
            return
        with transaction(catalog):
            [(guard,)] = fetch_all(catalog, _GUARD_OF_ID, {})
            fetch_all(catalog, "DROP TRIGGER store_update", {})
            fetch_all(catalog, "UPDATE store SET id = :id", {"id": id})
            fetch_all(catalog, guard, {})


_GUARD_OF_ID = "SELECT sql FROM sqlite_schema WHERE type = 'trigger' AND name = 'store_update'"


def require_whole(folder: Path, own: str) -> str | None:
    """Before a tier starts on its file `own` in this folder. Raises StartRefused unless the folder has one whole store.

    The other file may be missing, for it may be on another machine, where its own tier looks after it. A warning when
    it is there and cannot be read.
    """
    other = folder / (LOG_NAME if own == CATALOG_NAME else CATALOG_NAME)
    _require_readable(folder / own)
    if is_new(folder / other) and not is_new(folder / own):
        return None
    try:
        why = why_apart(folder)
    except (apsw.Error, OSError) as error:
        unreadable = f"{explain(other, error)}; {_WAY_OUT}"
        if is_new(folder / own):
            raise StartRefused(f"{folder / own} is not made anew beside what cannot be read: {unreadable}") from error
        return unreadable
    if why is not None:
        lost = [name for name in (CATALOG_NAME, LOG_NAME) if is_new(folder / name)]  # nothing can be audited then
        raise StartRefused(f"{why}; {_WAY_BACK.format(*lost) if lost else _WAY_OUT}")
    return None


def _require_readable(path: Path) -> None:
    """Raises StartRefused, or StartPostponed for what may pass."""
    if why := foreign_wal(path):
        raise StartRefused(why)
    try:
        with peek(path) as connection:
            if connection is not None:
                introduce(connection, None)
                last_order(connection)
                _is_used(connection)
    except apsw.SQLError as error:  # no later try can mend it
        other = "set DATA_DIR to another folder, or run python -m admin audit if it is"
        raise StartRefused(f"{path} is not a database of this tier ({error}); {other}") from error
    except (apsw.Error, OSError) as error:
        kind = StartRefused if is_lasting(path, error) or isinstance(error, OSError) else StartPostponed
        raise kind(explain(path, error, "DATA_DIR")) from error


_TABLES = "SELECT name FROM sqlite_schema WHERE type = 'table'"
_ID = "SELECT id FROM store"


def id_in(connection: apsw.Connection) -> str | None:
    """The id of the store that this database is of; None when it has none yet."""
    if "store" not in _tables(connection):
        return None
    rows = fetch_all(connection, _ID, {})
    return str(rows[0][0]) if rows else None


def _tables(connection: apsw.Connection) -> set[str]:
    """A file that a first start has not come to its end with lacks some of them."""
    return {name for (name,) in fetch_all(connection, _TABLES, {})}


# More buys than these are in doubt at one moment only behind a catalog that is away.
MAX_NEWEST = 256
_NEWEST_SOLD = "SELECT key FROM stock_ledger WHERE reason = 'sold' ORDER BY entry DESC LIMIT :limit"
_IS_SOLD = "SELECT 1 FROM stock_ledger WHERE key = :key AND reason = 'sold'"
# As db/audit/orders.py names an order that was never sold.
_IS_ACCEPTED = """
    SELECT 1 FROM accepted_discrepancies
    WHERE subject GLOB 'order [0-9]*' AND substr(subject, instr(subject, ', key ') + 6) = :key"""


def introduce(catalog: apsw.Connection, last_order: str | None) -> Introduction:
    """This catalog's answer to a log whose newest order has the key `last_order`."""
    id = id_in(catalog)
    if "stock_ledger" not in _tables(catalog):
        return Introduction(id, (), last_order is None)
    newest_sold = tuple(key for (key,) in fetch_all(catalog, _NEWEST_SOLD, {"limit": MAX_NEWEST}))
    return Introduction(id, newest_sold, last_order is None or is_sold(catalog, last_order))


def is_sold(catalog: apsw.Connection, key: str) -> bool:
    """Whether this catalog has sold under the key, or its owner has accepted that it has not.

    That is the way on for an older catalog beside a newer log: the owner corrects the stock and signs the rest off.
    """
    if fetch_all(catalog, _IS_SOLD, {"key": key}):
        return True
    return "accepted_discrepancies" in _tables(catalog) and bool(fetch_all(catalog, _IS_ACCEPTED, {"key": key}))


# The last one may have been in doubt for long: an older catalog then has sold it, and not those before.
_NEWEST_ORDERS = "SELECT number, key FROM orders ORDER BY number DESC LIMIT :limit"
# In one statement, for a buy goes from one to the other.
_IS_ORDERED = "SELECT TRUE FROM orders WHERE key = :key UNION ALL SELECT FALSE FROM intents WHERE key = :key"
_USED = "SELECT 1 FROM orders UNION ALL SELECT 1 FROM refused LIMIT 1"


def newest_orders(log: apsw.Connection, limit: int = MAX_NEWEST) -> list[tuple[int, str]]:
    """Number and key of the newest orders, newest first."""
    return fetch_all(log, _NEWEST_ORDERS, {"limit": limit}) if "orders" in _tables(log) else []


def last_order(log: apsw.Connection) -> str | None:
    """The key of the newest order."""
    orders = newest_orders(log, limit=1)
    return orders[0][1] if orders else None


def _is_used(log: apsw.Connection) -> bool:
    """Whether a catalog has ever answered this log. Buys may be in doubt before there is one, at a first start."""
    return "orders" in _tables(log) and bool(fetch_all(log, _USED, {}))


def objection(log: apsw.Connection, catalog: Introduction) -> str | None:
    """Why this log is not the one of the catalog that was introduced to it; None when it is.

    The catalog was introduced to the log's newest order, and a moment ago.
    """
    id = id_in(log)
    if id is not None and catalog.id is not None and id != catalog.id:
        return f"it is of store {id}, the catalog is of store {catalog.id}"
    if id is not None and catalog.id is None:
        return f"it is of store {id}, the catalog is of before that store"
    if not catalog.has_last_order:
        return "the catalog has not sold what was ordered last, so it is an older one or another's"
    if _lacks_a_sale(log, catalog.newest_sold):
        return "it lacks what the catalog has sold last, so it is an older one, a new one or another's"
    return None


def _lacks_a_sale(log: apsw.Connection, newest_sold: Sequence[str]) -> bool:
    """Whether the catalog has sold what the log does not have.

    The newest sale that is not in doubt tells. An older log may have some in doubt that were sold after others which it
    has never heard of.
    """
    if newest_sold and "orders" not in _tables(log):
        return True
    for key in newest_sold:
        rows = fetch_all(log, _IS_ORDERED, {"key": key})
        if not rows or rows[0][0]:
            return not rows
    return False
