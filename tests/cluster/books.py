"""Reads the books of a store on PostgreSQL, and runs the checks of tests/cluster/checks.sql on them."""

import time
from pathlib import Path
from typing import Any

import psycopg

from tests.support.books import Books

CHECKS = Path(__file__).with_name("checks.sql")
# A buy may be in doubt for this long after the last answer.
DRAIN_TIMEOUT_S = 10.0
_CONNECT_TIMEOUT_S = 60.0


def read_at_rest(address: str) -> tuple[Books, dict[str, int]]:
    """Returns the books once nothing is in doubt, or after DRAIN_TIMEOUT_S, and the checks whose count is not 0."""
    deadline = time.monotonic() + DRAIN_TIMEOUT_S
    with _connected(address) as connection:
        while _rows(connection, "SELECT 1 FROM log.intents UNION ALL SELECT 1 FROM log.return_intents"):
            if time.monotonic() > deadline:
                break
            time.sleep(0.1)
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        failed = {what: count for what, count in _rows(connection, CHECKS.read_text("utf-8")) if count}
        books = _books(connection)
        connection.execute("COMMIT")
    return books, failed


def _books(connection: psycopg.Connection[Any]) -> Books:
    def rows(sql: str) -> list[Any]:
        return _rows(connection, sql)

    return Books(
        products=dict(rows("SELECT name, quantity FROM catalog.products")),
        ledger=rows("SELECT product, delta, balance, reason, key FROM catalog.stock_ledger ORDER BY entry"),
        orders=rows("SELECT number, key, product, quantity FROM log.orders ORDER BY number"),
        refused=dict(rows("SELECT key, reason FROM log.refused")),
        refused_by_catalog=dict(rows("SELECT key, reason FROM catalog.refused")),
        intents=[key for (key,) in rows("SELECT key FROM log.intents ORDER BY begun")],
        returns=rows("SELECT key, number, quantity FROM log.returns ORDER BY entry"),
        sales_given_back=rows("SELECT key, sale FROM catalog.stock_ledger WHERE reason = 'returned'"),
        return_intents=[key for (key,) in rows("SELECT key FROM log.return_intents ORDER BY begun")],
        retired=frozenset(name for (name,) in rows("SELECT name FROM catalog.products WHERE retired")),
    )


def _rows(connection: psycopg.Connection[Any], sql: str) -> list[Any]:
    return connection.execute(sql.encode()).fetchall()


def _connected(address: str) -> psycopg.Connection[Any]:
    """Returns a connection to the leader. It waits while there is none. Raises psycopg.OperationalError."""
    deadline = time.monotonic() + _CONNECT_TIMEOUT_S
    while True:
        try:
            return psycopg.connect(address, autocommit=True, connect_timeout=5)
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
