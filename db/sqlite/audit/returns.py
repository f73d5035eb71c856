"""Checks the returns: each is in both databases (I1, I3), and no more is given back than was bought."""

from collections.abc import Iterator
from typing import Any

from db.sqlite.audit.discrepancy import Discrepancy
from db.sqlite.connection import fetch_all
from db.sqlite.snapshots import CATALOG, CHUNK, LOG, Snapshots
from domain.returns import Return


def check(snapshots: Snapshots) -> Iterator[Discrepancy]:
    """Finds returns that only one database has, that differ, or that exceed their order or their sale."""
    with snapshots.snapshot(LOG) as connection:
        beyond_orders = fetch_all(connection, _BEYOND_ORDERS, {})
        twice = fetch_all(connection, _GIVEN_BACK_TWICE, {})
    with snapshots.snapshot(CATALOG) as connection:
        beyond_sales = fetch_all(connection, _BEYOND_SALES, {})
    for key, times in twice:
        yield Discrepancy("I3", f"key {key}", f"gives back {times} times")
    for number, returned, bought in beyond_orders:
        yield Discrepancy("I3", f"order {number}", f"{returned} given back, but {bought or 0} bought")
    for sale, returned, sold in beyond_sales:
        yield Discrepancy("I3", f"key {sale}", f"{returned} taken back, but {sold or 0} sold")
    yield from _check_log(snapshots)
    yield from _check_catalog(snapshots)


# Pieces in doubt count too: the catalog may have them.
_BEYOND_ORDERS = """
    SELECT number, returned, (SELECT quantity FROM log.orders WHERE orders.number = given.number) AS bought
    FROM (SELECT number, sum(quantity) AS returned
        FROM (SELECT number, quantity FROM log.returns UNION ALL SELECT number, quantity FROM log.return_intents)
        GROUP BY number) AS given
    WHERE returned > coalesce(bought, 0)"""
_GIVEN_BACK_TWICE = "SELECT key, count(*) FROM log.returns GROUP BY key HAVING count(*) > 1"
_BEYOND_SALES = """
    SELECT sale, returned, (SELECT -delta FROM catalog.stock_ledger AS sold
        WHERE sold.key = taken.sale AND reason = 'sold' AND sold.product = taken.product) AS sold
    FROM (SELECT sale, product, sum(delta) AS returned FROM catalog.stock_ledger
        WHERE sale IS NOT NULL GROUP BY sale, product) AS taken
    WHERE returned > coalesce(sold, 0)"""


def _check_log(snapshots: Snapshots) -> Iterator[Discrepancy]:
    """Compares each logged return with the catalog, and finds gaps between them."""
    after = 0
    while True:
        # The log first: the catalog has a return before it is logged.
        with snapshots.snapshot(LOG, CATALOG) as connection:
            rows = fetch_all(connection, _RETURNS, {"after": after, "limit": CHUNK})
        for entry, key, number, *pieces in rows:
            if entry != after + 1:
                yield Discrepancy(
                    "I3", f"return {entry}", f"the returns {after + 1} to {entry - 1} before it are missing"
                )
            after = entry
            yield from _not_as_taken(f"return {entry}, key {key}", number, pieces)
        if len(rows) < CHUNK:
            return


_RETURNS = """
    SELECT returns.entry, returns.key, returns.number, orders.key, orders.product, returns.quantity,
        taken.reason, taken.sale, taken.product, taken.delta
    FROM log.returns LEFT JOIN log.orders ON orders.number = returns.number
    LEFT JOIN catalog.stock_ledger AS taken ON taken.key = returns.key
    WHERE returns.entry > :after ORDER BY returns.entry LIMIT :limit"""


def _not_as_taken(where: str, number: int, pieces: list[Any]) -> Iterator[Discrepancy]:
    """Compares what was given back (sale, product, quantity) with what the catalog has under the key."""
    *given, reason, sale, product, delta = pieces
    if reason != "returned":
        known = "" if reason is None else f": the ledger has its key as {reason}"
        yield Discrepancy("I3", where, f"{given[2]} of order {number} given back, but never taken back{known}")
    elif given != [sale, product, delta]:
        log, ledger = (
            f"{quantity} {name} of the sale {key}" for key, name, quantity in (given, (sale, product, delta))
        )
        yield Discrepancy("I3", where, f"{log} given back, {ledger} taken back")


def _check_catalog(snapshots: Snapshots) -> Iterator[Discrepancy]:
    """Finds entries of the ledger for which the log has neither a return nor an intent."""
    after = 0
    while True:
        # The catalog first: a return is in the log before it is in the catalog, as an intent, and stays there.
        with snapshots.snapshot(CATALOG, LOG) as connection:
            rows = fetch_all(connection, _TAKEN_BACK, {"after": after, "limit": CHUNK})
        for entry, key, product, quantity, note, number, logged in rows:
            after = entry
            if logged is None:
                repair = None if number is None else Return(key, number, quantity, note)
                what = f"{quantity} {product} taken back, but never given back"
                yield Discrepancy("I3", f"key {key}", what, repair=repair)
        if len(rows) < CHUNK:
            return


# A return that differs from its entry is named by _check_log, and one that is in doubt is settled or overdue.
_TAKEN_BACK = """
    SELECT entry, taken.key, taken.product, delta, note, orders.number,
        coalesce((SELECT 1 FROM log.returns WHERE returns.key = taken.key),
            (SELECT 1 FROM log.return_intents WHERE return_intents.key = taken.key))
    FROM (SELECT entry, key, product, delta, note, sale FROM catalog.stock_ledger
        WHERE reason = 'returned' AND entry > :after ORDER BY entry LIMIT :limit) AS taken
    LEFT JOIN log.orders ON orders.key = taken.sale ORDER BY entry"""
