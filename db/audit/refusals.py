"""Refused buys: what the log refused, the catalog refused, and nobody sold."""

from collections.abc import Iterator
from typing import Any

from db.audit.discrepancy import Discrepancy
from db.connection import fetch_all
from db.snapshots import CATALOG, CHUNK, LOG, Snapshots


def check(snapshots: Snapshots) -> Iterator[Discrepancy]:
    """The part of I3 and I5 that a no is final. The catalog knows more of them, those of direct decrements."""
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
        # The log first: what is refused in it was refused by the catalog before.
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
    SELECT no.key, no.product, no.quantity, no.reason, refused.product, refused.quantity, refused.reason, sold.delta
    FROM log.refused AS no LEFT JOIN catalog.refused USING (key) LEFT JOIN catalog.stock_ledger AS sold USING (key)
    WHERE no.key > :after AND no.key <= :upto
    AND (sold.delta IS NOT NULL
        OR (refused.product, refused.quantity, refused.reason) IS NOT (no.product, no.quantity, no.reason))"""


def _not_as_refused(row: Any) -> Discrepancy:
    key, product, quantity, reason, other, pieces, because, delta = row
    where = f"key {key}"
    if delta is not None:
        return Discrepancy("I3", where, f"refused in the log, but sold by the catalog: a change of {delta}")
    if other is None:
        return Discrepancy("I3", where, f"{quantity} {product} refused in the log, but not by the catalog")
    said = f"{pieces} {other} by the catalog, {because}"
    return Discrepancy("I3", where, f"{quantity} {product} refused in the log, {reason}, but {said}")
