"""Checks refused buys: each refusal in the log is also in the catalog, and no refused key is sold or ordered."""

from collections.abc import Iterator
from typing import Any

from db.sqlite.audit.discrepancy import Discrepancy
from db.sqlite.connection import fetch_all
from db.sqlite.snapshots import CATALOG, CHUNK, LOG, Snapshots


def check(snapshots: Snapshots) -> Iterator[Discrepancy]:
    """Finds refusals that were not final (I3, I5).

    Refusals that only the catalog has are right: they are those of direct decrements.
    """
    with snapshots.snapshot(CATALOG) as connection:
        sold = fetch_all(connection, _SOLD_AND_REFUSED, {})
    for key, taken_as in sold:
        yield Discrepancy("I3", f"key {key}", f"is both refused and {taken_as} at the catalog")
    with snapshots.snapshot(LOG) as connection:
        ordered = fetch_all(connection, _ORDERED_AND_REFUSED, {})
    for key, number in ordered:
        yield Discrepancy("I3", f"key {key}", f"is both refused and order {number} in the log")
    after = ""
    while True:
        # The log first: the catalog refuses a buy before the log records that.
        with snapshots.snapshot(LOG, CATALOG) as connection:
            [(count, upto)] = fetch_all(connection, _CHUNK, {"after": after, "limit": CHUNK})
            differing = fetch_all(connection, _NOT_AS_REFUSED, {"after": after, "upto": upto})
        yield from (_not_as_refused(row) for row in differing)
        if count < CHUNK:
            break
        after = upto


_SOLD_AND_REFUSED = "SELECT key, stock_ledger.reason FROM catalog.refused JOIN catalog.stock_ledger USING (key)"
_ORDERED_AND_REFUSED = "SELECT key, number FROM log.refused JOIN log.orders USING (key)"
_CHUNK = """
    SELECT count(*), max(key) FROM (SELECT key FROM log.refused WHERE key > :after ORDER BY key LIMIT :limit)"""
_NOT_AS_REFUSED = """
    SELECT logged.key, logged.product, logged.quantity, logged.reason,
        refused.product, refused.quantity, refused.reason, sold.delta
    FROM log.refused AS logged
    LEFT JOIN catalog.refused USING (key) LEFT JOIN catalog.stock_ledger AS sold USING (key)
    WHERE logged.key > :after AND logged.key <= :upto
    AND (sold.delta IS NOT NULL
        OR (refused.product, refused.quantity, refused.reason)
            IS NOT (logged.product, logged.quantity, logged.reason))"""


def _not_as_refused(row: Any) -> Discrepancy:
    key, product, quantity, reason, other_product, other_quantity, other_reason, delta = row
    where = f"key {key}"
    if delta is not None:
        return Discrepancy("I3", where, f"refused in the log, but sold by the catalog: a change of {delta}")
    if other_product is None:
        return Discrepancy("I3", where, f"{quantity} {product} refused in the log, but not by the catalog")
    at_catalog = f"{other_quantity} {other_product} by the catalog, {other_reason}"
    return Discrepancy("I3", where, f"{quantity} {product} refused in the log, {reason}, but {at_catalog}")
