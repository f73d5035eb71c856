"""Compares the append-only history of a store with that of a backup."""

from db.sqlite.connection import fetch_all
from db.sqlite.snapshots import CATALOG, CHUNK, LOG, File, Snapshots

_ORDERS = """
    SELECT number, key, product, quantity, price_cents FROM log.orders
    WHERE number > :after ORDER BY number LIMIT :limit"""
_RETURNS = """
    SELECT entry, key, number, quantity, note FROM log.returns
    WHERE entry > :after ORDER BY entry LIMIT :limit"""
_ENTRIES = """
    SELECT entry, key, product, delta, price_cents, sale FROM catalog.stock_ledger
    WHERE entry > :after ORDER BY entry LIMIT :limit"""
_CHANGES = """
    SELECT entry, key, product, what, price_cents FROM catalog.product_history
    WHERE entry > :after ORDER BY entry LIMIT :limit"""
_ACCEPTED = """
    SELECT entry, key, fingerprint, note, accepted_by FROM catalog.accepted_discrepancies
    WHERE entry > :after ORDER BY entry LIMIT :limit"""
# Refused buys are stored by key, not by time, and are never deleted: their count tells whether any is missing.
_REFUSED = "SELECT count(*) FROM log.refused"


def compare(store: Snapshots, backup: Snapshots) -> str:
    """Returns whether the backup has all of the store's history, or where the two first differ.

    The result is the end of a sentence that begins with "… holds a store, ".
    """
    for file, rows, what in (
        (LOG, _ORDERS, "order"),
        (LOG, _RETURNS, "return"),
        (CATALOG, _ENTRIES, "ledger entry"),
        (CATALOG, _CHANGES, "product history entry"),
        (CATALOG, _ACCEPTED, "accepted discrepancy"),
    ):
        if difference := _first_difference(store, backup, file, rows):
            number, is_newer = difference
            if is_newer:
                return f"and the backup ends before its {what} {number}: what is newer would be lost"
            return f"and its {what} {number} differs from the backup's"
    missing = _refused(store) - _refused(backup)
    if missing > 0:
        return f"and the backup lacks {missing:,} of its refused buys: what is newer would be lost"
    return "all of which is in the backup"


def _refused(store: Snapshots) -> int:
    with store.snapshot(LOG) as connection:
        [(count,)] = fetch_all(connection, _REFUSED, {})
    return int(count)


def _first_difference(store: Snapshots, backup: Snapshots, file: File, rows: str) -> tuple[int, bool] | None:
    """Returns the number of the store's first row that the backup lacks, and whether the backup ends before it."""
    after = -1
    while True:
        chunk = {"after": after, "limit": CHUNK}
        with store.snapshot(file) as connection:
            own = fetch_all(connection, rows, chunk)
        with backup.snapshot(file) as connection:
            copied = fetch_all(connection, rows, chunk)
        for at, row in enumerate(own):
            if at >= len(copied):
                return row[0], True
            if row != copied[at]:
                return row[0], False
        if len(own) < CHUNK:
            return None
        after = own[-1][0]
