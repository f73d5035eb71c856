"""Counts the rows of both databases and the bytes of their files, for `python -m admin status`."""

from dataclasses import dataclass
from pathlib import Path

from db.sqlite.connection import fetch_all
from db.sqlite.read_only import file_size, wal_path
from db.sqlite.snapshots import CATALOG, FILES, LOG, Snapshots
from domain.values import Order


@dataclass(frozen=True, slots=True)
class FileStatus:
    """One database: the version of its schema, and the sizes of the file and of its write-ahead log.

    The write-ahead log of PostgreSQL is its server's, and has no size here.
    """

    name: str
    schema: int
    bytes: int
    wal_bytes: int | None


@dataclass(frozen=True, slots=True)
class Status:
    """Row counts of the two databases, taken a moment apart.

    `products` includes retired ones. `stock` counts the pieces of the others. `intents` are buys in doubt and
    `return_intents` returns in doubt; `oldest_intent_s` is the age of the oldest of both.
    """

    products: int
    retired: int
    stock: int
    ledger_entries: int
    orders: int
    refused: int
    returns: int
    intents: int
    return_intents: int
    oldest_intent_s: float | None
    last_order: Order | None
    files: tuple[FileStatus, ...]


_PRODUCTS = """
    SELECT count(*), coalesce(sum(retired), 0), coalesce(sum(quantity) FILTER (WHERE NOT retired), 0)
    FROM catalog.products"""
_ENTRIES = "SELECT count(*) FROM catalog.stock_ledger"
_LOG = """
    SELECT (SELECT count(*) FROM log.orders), (SELECT count(*) FROM log.refused), (SELECT count(*) FROM log.returns)"""
_INTENTS = """
    SELECT (SELECT count(*) FROM log.intents), (SELECT count(*) FROM log.return_intents),
        (SELECT max(unixepoch('subsec') - unixepoch(time, 'subsec'))
            FROM (SELECT time FROM log.intents UNION ALL SELECT time FROM log.return_intents))"""
_LAST_ORDER = """
    SELECT number, product, quantity, price_cents, time FROM log.orders ORDER BY number DESC LIMIT 1"""


def status(snapshots: Snapshots) -> Status:
    """Returns the store's current counts and sizes."""
    with snapshots.snapshot(CATALOG, LOG) as connection:
        [(products, retired, stock)] = fetch_all(connection, _PRODUCTS, {})
        [(entries,)] = fetch_all(connection, _ENTRIES, {})
        [(orders, refused, returns)] = fetch_all(connection, _LOG, {})
        [(intents, return_intents, oldest_s)] = fetch_all(connection, _INTENTS, {})
        last = fetch_all(connection, _LAST_ORDER, {})
        schemas = {file: connection.pragma("user_version", schema=file.schema) for file in FILES}
    return Status(
        products=products,
        retired=retired,
        stock=stock,
        ledger_entries=entries,
        orders=orders,
        refused=refused,
        returns=returns,
        intents=intents,
        return_intents=return_intents,
        oldest_intent_s=oldest_s,
        last_order=Order(*last[0]) if last else None,
        files=tuple(_file((snapshots.data_dir / file.name).resolve(), schemas[file]) for file in FILES),
    )


def _file(path: Path, schema: int) -> FileStatus:
    return FileStatus(path.name, schema, file_size(path), file_size(wal_path(path)))
