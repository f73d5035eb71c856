"""Checks that no buy and no return is in doubt for long (I6)."""

from collections.abc import Callable, Iterator

from db.sqlite.audit.discrepancy import Discrepancy
from db.sqlite.connection import fetch_all
from db.sqlite.snapshots import CATALOG, LOG, Snapshots
from domain.returns import Return
from domain.values import Buy

# The order tier settles a buy or a return that has been in doubt for 3 s, and a restart of the catalog may delay that.
OVERDUE_S = 10.0


def check(snapshots: Snapshots) -> Iterator[Discrepancy]:
    """Finds buys and returns that have been in doubt for more than OVERDUE_S. Their age is by the machine's clock."""
    return _overdue(snapshots, None)


def check_as_of(time_s: float) -> Callable[[Snapshots], Iterator[Discrepancy]]:
    """Returns the check of a copy that shows a running store as it was at this time (POSIX seconds)."""

    def check(snapshots: Snapshots) -> Iterator[Discrepancy]:
        return _overdue(snapshots, time_s)

    return check


def _overdue(snapshots: Snapshots, now_s: float | None) -> Iterator[Discrepancy]:
    ages = {"now_s": now_s, "overdue_s": OVERDUE_S}
    with snapshots.snapshot(LOG, CATALOG) as connection:
        overdue = fetch_all(connection, _OVERDUE, ages)
        returns = fetch_all(connection, _OVERDUE_RETURNS, ages)
    for key, product, quantity, age_s, taken_as, refusal in overdue:
        known = "has not heard of it" if taken_as is None and refusal is None else f"says {taken_as or refusal}"
        what = f"{quantity} {product} in doubt for {age_s:.0f} s; the catalog {known}"
        yield Discrepancy("I6", f"key {key}", what, repair=Buy(key, product, quantity))
    for key, number, quantity, note, age_s, taken_as, refusal in returns:
        known = "has not heard of it" if taken_as is None and refusal is None else f"says {taken_as or refusal}"
        what = f"return of {quantity} of order {number} in doubt for {age_s:.0f} s; the catalog {known}"
        yield Discrepancy("I6", f"key {key}", what, repair=Return(key, number, quantity, note))


_OVERDUE = """
    SELECT key, intents.product, quantity, age_s, sold.reason, refused.reason
    FROM (
        SELECT *, coalesce(:now_s, unixepoch('subsec')) - unixepoch(time, 'subsec') AS age_s FROM log.intents
    ) AS intents
    LEFT JOIN catalog.stock_ledger AS sold USING (key)
    LEFT JOIN (SELECT key, reason FROM catalog.refused) AS refused USING (key)
    WHERE age_s > :overdue_s ORDER BY begun"""
_OVERDUE_RETURNS = """
    SELECT key, number, intents.quantity, intents.note, age_s, taken.reason, refused.reason
    FROM (
        SELECT *, coalesce(:now_s, unixepoch('subsec')) - unixepoch(time, 'subsec') AS age_s FROM log.return_intents
    ) AS intents
    LEFT JOIN (SELECT key, reason FROM catalog.stock_ledger) AS taken USING (key)
    LEFT JOIN (SELECT key, reason FROM catalog.refused) AS refused USING (key)
    WHERE age_s > :overdue_s ORDER BY begun"""
