"""Checks the stock: the ledger adds up to it (I1), it is never negative (I2), and each sale is ordered (I3)."""

from collections.abc import Iterator
from typing import Any

from db.sqlite.audit.discrepancy import Discrepancy
from db.sqlite.connection import fetch_all
from db.sqlite.snapshots import CATALOG, CHUNK, LOG, Snapshots
from domain.values import Buy


def check(snapshots: Snapshots) -> Iterator[Discrepancy]:
    """Finds ledger entries that do not add up, products that differ from their history, and sales without an order."""
    with snapshots.snapshot(CATALOG) as connection:
        twice = fetch_all(connection, _SOLD_TWICE, {})
    for key, times in twice:
        yield Discrepancy("I3", f"key {key}", f"stands {times} times in the ledger")
    balances: dict[str, int] = {}
    after = 0
    while True:
        # The catalog first: a buy is in the log before its sale, as an intent, and stays there as an order.
        with snapshots.snapshot(CATALOG, LOG) as connection:
            entries = fetch_all(connection, _ENTRIES, {"after": after, "limit": CHUNK})
            upto = entries[-1][0] if entries else after
            unordered = fetch_all(connection, _UNORDERED, {"after": after, "upto": upto})
            # The last entries and the products must be of one snapshot.
            products = fetch_all(connection, _PRODUCTS, {}) if len(entries) < CHUNK else None
        yield from _check_entries(after, entries, balances)
        yield from (_unordered(row) for row in unordered)
        if products is not None:
            break
        after = upto
    yield from _check_products(products, balances)


_SOLD_TWICE = """
    SELECT key, count(*) FROM catalog.stock_ledger WHERE key IS NOT NULL GROUP BY key HAVING count(*) > 1"""
_ENTRIES = """
    SELECT entry, product, delta, balance, reason, key FROM catalog.stock_ledger
    WHERE entry > :after ORDER BY entry LIMIT :limit"""


def _check_entries(after: int, entries: list[Any], balances: dict[str, int]) -> Iterator[Discrepancy]:
    """Compares each entry with the one before it. `balances` has each product's last balance, and is updated."""
    for entry, product, delta, balance, reason, key in entries:
        where = f"{product}, ledger entry {entry}"
        if entry != after + 1:
            yield Discrepancy("I1", where, f"the entries {after + 1} to {entry - 1} before it are missing")
        if reason == "initial" and product in balances:
            yield Discrepancy("I1", where, "is a second 'initial' entry")
        if reason != "initial" and product not in balances:
            yield Discrepancy("I1", where, f"is the first entry of its product, and not 'initial' but {reason!r}")
        before = balances.get(product, 0)
        if balance != before + delta:
            yield Discrepancy(
                "I1", where, f"says {balance} pieces, but {before} and a change of {delta} are {before + delta}"
            )
        if reason == "correction" and str(key).startswith(_BY_A_MIGRATION):
            yield Discrepancy("I1", where, f"takes over a stock that had been changed by hand, by {delta:+} pieces")
        if balance < 0:
            yield Discrepancy("I2", where, f"was oversold: {balance} pieces")
        balances[product] = balance
        after = entry


# No owner has confirmed the corrections that a migration wrote (migrations/catalog/0004_ledger_first.sql).
_BY_A_MIGRATION = "migration-"

_UNORDERED = """
    SELECT sold.key, sold.product, -sold.delta, refused.reason, intents.product, intents.quantity
    FROM catalog.stock_ledger AS sold
    LEFT JOIN log.orders USING (key) LEFT JOIN log.refused USING (key) LEFT JOIN log.intents USING (key)
    WHERE sold.entry > :after AND sold.entry <= :upto AND sold.reason = 'sold' AND orders.number IS NULL
    AND (intents.product, intents.quantity) IS NOT (sold.product, -sold.delta)"""


def _unordered(row: Any) -> Discrepancy:
    key, product, quantity, refusal, intended, pieces = row
    what = f"{quantity} {product} sold, but never ordered"
    if refusal is not None:
        return Discrepancy("I3", f"key {key}", f"{what}: the log has it as refused, {refusal}")
    if intended is not None:
        return Discrepancy("I3", f"key {key}", f"{what}: the log waits for {pieces} {intended}")
    return Discrepancy("I3", f"key {key}", what, repair=Buy(key, product, quantity))


# In a group with max(), SQLite takes the other columns from the row that has the maximum.
_PRODUCTS = """
    SELECT name, quantity, products.price_cents, retired, what, last.price_cents
    FROM catalog.products LEFT JOIN
    (SELECT product, what, price_cents, max(entry) FROM catalog.product_history GROUP BY product) AS last
    ON product = name"""


def _check_products(products: list[Any], balances: dict[str, int]) -> Iterator[Discrepancy]:
    """Compares each product with its last balance and the last entry of its history."""
    for name, quantity, price_cents, retired, what, last_price_cents in products:
        balance = balances.get(name)
        if balance is None:
            yield Discrepancy("I1", name, "has no entry in the ledger")
        elif quantity != balance:
            yield Discrepancy("I1", name, f"has {quantity} pieces in stock, but {balance} by its ledger")
        if quantity < 0:
            yield Discrepancy("I2", name, f"was oversold: {quantity} pieces")
        if what is None:
            yield Discrepancy("I1", name, "has no entry in the product history")
        elif price_cents != last_price_cents:
            yield Discrepancy("I1", name, f"costs {price_cents} cents, but {last_price_cents} by its history")
        elif bool(retired) != (what == "retired"):
            yield Discrepancy("I1", name, f"is {'retired' if retired else 'for sale'}, but not so by its history")
    for name in sorted(balances.keys() - {name for name, *_ in products}):
        yield Discrepancy("I1", name, "is in the ledger, but no product")
