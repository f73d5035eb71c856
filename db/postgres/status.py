"""Counts the rows of both schemas and the bytes of their tables, for `python -m admin status`."""

from typing import Any

from db.postgres.connection import Connection
from db.postgres.copies.moment import Addresses, errors_as_copy_failed, opened
from db.postgres.copies.schemas import require_current
from db.sqlite.snapshots import CATALOG, LOG
from db.sqlite.status import FileStatus, Status
from domain.values import Order

# Each statement sees one moment.
_CATALOG = """
    SELECT count(*), count(*) FILTER (WHERE retired), coalesce(sum(quantity) FILTER (WHERE NOT retired), 0)::bigint,
        (SELECT count(*) FROM catalog.stock_ledger)
    FROM catalog.products"""
_LOG = """
    SELECT (SELECT count(*) FROM log.orders), (SELECT count(*) FROM log.refused), (SELECT count(*) FROM log.returns),
        (SELECT count(*) FROM log.intents), (SELECT count(*) FROM log.return_intents),
        (SELECT extract(epoch FROM clock_timestamp() - min(time)::timestamptz)::float8
            FROM (SELECT time FROM log.intents UNION ALL SELECT time FROM log.return_intents) AS begun)"""
_LAST_ORDER = "SELECT number, product, quantity, price_cents, time FROM log.orders ORDER BY number DESC LIMIT 1"
_BYTES = """
    SELECT coalesce(sum(pg_total_relation_size(pg_class.oid)), 0)::bigint
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE nspname = %(schema)s AND relkind = 'r'"""


def status(addresses: Addresses) -> Status:
    """Returns the store's counts and sizes: those of the log a moment after the catalog's. Raises CopyFailed."""
    with opened(addresses.catalog) as catalog, errors_as_copy_failed(addresses.catalog):
        catalog_version = require_current(catalog, CATALOG, addresses.catalog)
        [(products, retired, stock, entries)] = _fetch(catalog, _CATALOG)
        [(catalog_bytes,)] = _fetch(catalog, _BYTES, schema="catalog")
    with opened(addresses.log) as log, errors_as_copy_failed(addresses.log):
        log_version = require_current(log, LOG, addresses.log)
        [(orders, refused, returns, intents, return_intents, oldest_s)] = _fetch(log, _LOG)
        last = _fetch(log, _LAST_ORDER)
        [(log_bytes,)] = _fetch(log, _BYTES, schema="log")
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
        files=(
            FileStatus("schema catalog", catalog_version, catalog_bytes, None),
            FileStatus("schema log", log_version, log_bytes, None),
        ),
    )


def _fetch(connection: Connection, sql: str, **values: str) -> list[tuple[Any, ...]]:
    return connection.execute(sql.encode(), values).fetchall()
