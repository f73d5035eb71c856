"""Checks the order log: its numbers have no gap (I4), and the catalog has sold each order (I3)."""

from collections.abc import Iterator
from typing import Any

from db.sqlite.audit.discrepancy import Discrepancy
from db.sqlite.connection import fetch_all
from db.sqlite.snapshots import CATALOG, CHUNK, LOG, Snapshots


def check(snapshots: Snapshots) -> Iterator[Discrepancy]:
    """Finds missing numbers, keys ordered twice, and orders that were not sold or differ from their sale."""
    with snapshots.snapshot(LOG) as connection:
        twice = fetch_all(connection, _ORDERED_TWICE, {})
    for key, times in twice:
        yield Discrepancy("I3", f"key {key}", f"is ordered {times} times")
    after = -1
    while True:
        # The log first: an order is sold before it is appended.
        with snapshots.snapshot(LOG, CATALOG) as connection:
            [(count, upto)] = fetch_all(connection, _CHUNK, {"after": after, "limit": CHUNK})
            chunk = {"after": after, "upto": after if upto is None else upto}
            gaps = fetch_all(connection, _GAPS, chunk)
            differing = fetch_all(connection, _NOT_AS_SOLD, chunk)
            sequence = fetch_all(connection, _SEQUENCE, {})
        yield from (_missing(first, last) for first, last in gaps)
        yield from (_not_as_sold(row) for row in differing)
        after = chunk["upto"]
        if count < CHUNK:
            break
    yield from _check_last_number(after, sequence)


_ORDERED_TWICE = "SELECT key, count(*) FROM log.orders GROUP BY key HAVING count(*) > 1"
_CHUNK = """
    SELECT count(*), max(number) FROM
    (SELECT number FROM log.orders WHERE number > :after ORDER BY number LIMIT :limit)"""
_GAPS = """
    SELECT before + 1, number - 1 FROM
    (SELECT number, lag(number, 1, :after) OVER (ORDER BY number) AS before
        FROM log.orders WHERE number > :after AND number <= :upto)
    WHERE number <> before + 1"""
_SEQUENCE = "SELECT seq FROM log.sqlite_sequence WHERE name = 'orders'"


def _missing(first: int, last: int) -> Discrepancy:
    what = "is missing" if first == last else f"and those up to {last} are missing"
    return Discrepancy("I4", f"order {first}", what)


def _check_last_number(last: int, sequence: list[Any]) -> Iterator[Discrepancy]:
    """Compares the last order's number with the last one that AUTOINCREMENT gave: the last orders may be missing."""
    last_given = sequence[0][0] if sequence else -1
    if last_given > last:
        yield _missing(last + 1, last_given)
    elif last_given < last:
        yield Discrepancy("I4", f"order {last}", f"was not given its number by the log, whose last is {last_given}")


_NOT_AS_SOLD = """
    SELECT number, orders.key, orders.product, orders.quantity, orders.price_cents,
        sold.reason, sold.product, -sold.delta, sold.price_cents, refused.reason
    FROM log.orders LEFT JOIN catalog.stock_ledger AS sold USING (key) LEFT JOIN catalog.refused USING (key)
    WHERE number > :after AND number <= :upto
    AND (sold.reason, sold.product, -sold.delta, sold.price_cents)
    IS NOT ('sold', orders.product, orders.quantity, orders.price_cents)"""


def _not_as_sold(row: Any) -> Discrepancy:
    number, key, *ordered, taken_as, product, quantity, price_cents, refusal = row
    where = f"order {number}, key {key}"
    if taken_as is None:
        why = "" if refusal is None else f": the catalog refused it, {refusal}"
        return Discrepancy("I3", where, f"ordered, but never sold{why}")
    if taken_as != "sold":
        return Discrepancy("I3", where, f"ordered, but never sold: its key is a {taken_as} of the ledger")
    wrong = [
        f"{what} {log} ordered, {ledger} sold"
        for what, log, ledger in zip(
            ("product", "quantity", "price in cents"), ordered, (product, quantity, price_cents), strict=True
        )
        if log != ledger
    ]
    return Discrepancy("I3", where, "; ".join(wrong))
