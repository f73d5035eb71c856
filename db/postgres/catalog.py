"""The catalog on PostgreSQL: products, their stock, and the ledger of every change."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from db.postgres.database import Database
from db.postgres.locks import lock_keys
from db.postgres.migrate import migrate
from db.postgres.session import Row, Session, Statement
from db.sales import Reason, decide, ledger_entry
from db.take_back import take_back
from domain.errors import AnotherStore, ProductNotFound
from domain.pairing import MAX_NEWEST, Introduction, LogMark
from domain.protocols import Sale
from domain.returns import SaleReturn, TakeBack
from domain.values import Buy, Product, Sold, fold

SCHEMA = "catalog"
MIGRATIONS = Path(__file__).parents[2] / "migrations" / "postgres" / "catalog"

_PRODUCTS = "SELECT name, price_cents, quantity FROM products WHERE name = ANY(:names::text[]) AND NOT retired"
_ANY = "SELECT 1 FROM products LIMIT 1"
_ID = "SELECT id FROM store"
_NEWEST_SOLD = "SELECT key FROM stock_ledger WHERE reason = 'sold' ORDER BY entry DESC LIMIT :limit"
# One row with the whole page as JSON, byte for byte as SQLite's catalog writes it. One product more than the page has
# tells whether there is a next one.
_PAGE = """
    WITH found AS MATERIALIZED (
        SELECT name, price_cents, quantity, row_number() OVER (ORDER BY name) <= :limit AS is_on_page FROM products
        WHERE name > :after AND NOT retired AND strpos(folded, :q) > 0 ORDER BY name LIMIT :limit + 1)
    SELECT format('{"data": [%s], "next": %s}',
        string_agg(format('{"name": %s, "price": %s.%s%s, "quantity": %s}', to_json(name),
            price_cents / 100, price_cents % 100 / 10, nullif(price_cents % 10, 0), quantity), ', ' ORDER BY name)
            FILTER (WHERE is_on_page),
        coalesce(CASE WHEN count(*) > :limit THEN to_json(max(name) FILTER (WHERE is_on_page))::text END, 'null'))
    FROM found"""


class CatalogStore:
    """The catalog in the schema `catalog` of a database. Each public method is one transaction; any thread may call it.

    The methods ignore `timeout_s`, which is for clients over HTTP: the database's own timeouts bound the wait.
    """

    def __init__(self, database: Database) -> None:
        """Uses the connections of `database`, whose schema must be SCHEMA."""
        self._database = database

    def migrate(self) -> None:
        """Creates the schema, or brings it to its newest version, see db/postgres/migrate.py. Raises StartRefused."""
        migrate(self._database.address, self._database.schema, MIGRATIONS, "CATALOG_DATABASE")

    def product(self, name: str) -> Product:
        """Returns the product of this name. Raises ProductNotFound."""
        [found] = self.lookup([name])
        if isinstance(found, ProductNotFound):
            raise found
        return found

    def lookup(self, names: Sequence[str], timeout_s: float | None = None) -> list[Product | ProductNotFound]:
        """Returns the product of each name, in their order, or ProductNotFound in its place."""
        with self._database.read() as session:
            found = _by_name(session.fetch_all(_PRODUCTS, {"names": sorted(set(names))}))
        return [found.get(name) or ProductNotFound() for name in names]

    def products(self, *, q: str = "", after: str = "", limit: int) -> bytes:
        """Returns at most `limit` products by name, after the name `after`, with `q` in the name in any case.

        The products come as JSON in UTF-8, see Catalog.products in domain/protocols.py.
        """
        with self._database.read() as session:
            [(page,)] = session.fetch_all(_PAGE, {"q": fold(q), "after": after, "limit": limit})
        return str(page).encode()

    def sell(self, buys: Sequence[Buy], timeout_s: float | None = None, *, log: LogMark | None = None) -> list[Sale]:
        """Takes each buy from the stock, once for its key. Returns the outcome of each, in their order.

        Raises AnotherStore, and has sold nothing, when the order log `log` is not of this catalog's store.
        """
        return self._database.run(lambda session: _sell(session, buys, "sold", log))

    def take_back(
        self, returns: Sequence[SaleReturn], timeout_s: float | None = None, *, log: LogMark | None = None
    ) -> list[TakeBack]:
        """Puts the pieces of each return back into the stock, once for its key. Returns the outcome of each, in order.

        Raises AnotherStore, and takes nothing back, when the order log `log` is not of this catalog's store.
        """

        def work(session: Session) -> list[TakeBack]:
            # The lock of a product is one of its sales too: only the returns of one product are of one sale.
            keys, names = [one.key for one in returns], [one.product for one in returns]
            [(is_ours,)], *_ = session.fetch_together(_is_ours(log), lock_keys(keys), lock_products(names))
            if not is_ours:
                raise AnotherStore
            return [take_back(session.fetch_all, pieces) for pieces in returns]

        return self._database.run(work)

    def decrement(self, buy: Buy, timeout_s: float | None = None) -> None:
        """Takes the pieces from the stock without an order, once for the key. Raises Refused, KeyReused."""
        [sale] = self._database.run(lambda session: _sell(session, [buy], "decrement", None))
        if not isinstance(sale, Sold):
            raise sale

    def introduce(self, last_order: str | None, timeout_s: float | None = None) -> Introduction:
        """Returns which store this is, for an order log whose newest order has the key `last_order`."""
        with self._database.snapshot() as session:
            [(store,)], sold, [(has_last_order,)] = session.fetch_together(
                (_ID, {}), (_NEWEST_SOLD, {"limit": MAX_NEWEST}), _is_ours(None, last_order)
            )
        return Introduction(store, tuple(key for (key,) in sold), has_last_order)

    def is_empty(self) -> bool:
        """Whether there is no product yet."""
        with self._database.read() as session:
            return not session.fetch_all(_ANY, {})

    def load(self, products: Iterable[Product]) -> bool:
        """Adds the first products, all or none. Returns False, and adds nothing, when there are products already."""
        first = list(products)

        def work(session: Session) -> bool:
            _, found = session.fetch_together(LOCK_ADDING, (_ANY, {}))
            if found:
                return False
            entries = [
                ledger_entry(Product(one.name, one.price_cents, 0), one.quantity, "initial", None) for one in first
            ]
            folded = {"names": [one.name for one in first], "folded": [fold(one.name) for one in first]}
            session.commit_with(_insert_entries(entries, "initial"), (_FOLD, folded))
            return True

        return self._database.run(work)

    def require_writable(self) -> None:
        """Raises Unavailable when the database takes no writes."""
        self._database.require_writable()

    def close(self) -> None:
        """Closes the connections that nobody uses."""
        self._database.close()


def _by_name(rows: Iterable[Row]) -> dict[str, Product]:
    return {row[0]: Product(*row) for row in rows}


# The owner may have accepted that the sale of an order is missing: see is_sold in db/sqlite/pairing.py.
_IS_OURS = """
    SELECT (:store::text IS NULL OR EXISTS (SELECT FROM store WHERE id = :store)) AND (:last_order::text IS NULL
        OR EXISTS (SELECT FROM stock_ledger WHERE key = :last_order AND reason = 'sold')
        OR EXISTS (SELECT FROM accepted_discrepancies
            WHERE subject ~ '^order [0-9]' AND substr(subject, strpos(subject, ', key ') + 6) = :last_order))"""
# In the order of the names: two transactions that lock the same ones in another order would wait for each other. A row
# that others have is returned as they leave it.
_LOCK_PRODUCTS = """
    SELECT name, price_cents, quantity, retired FROM products WHERE name = ANY(:names::text[])
    ORDER BY name FOR NO KEY UPDATE"""
# A new product has no row to lock yet, so whoever adds products locks the one row of the store.
LOCK_ADDING: Statement = ("SELECT 1 FROM store FOR UPDATE", {})


def _is_ours(log: LogMark | None, last_order: str | None = None) -> Statement:
    """Returns the statement that tells whether the order log is of this store, and not newer than this catalog.

    Without a log, whether this catalog has sold `last_order`.
    """
    return _IS_OURS, {"store": log and log.store, "last_order": log.last_order if log else last_order}


def lock_products(names: Iterable[str]) -> Statement:
    """Returns the statement that keeps other transactions from changing these products, and returns their rows."""
    return _LOCK_PRODUCTS, {"names": sorted(set(names))}


# The outcome of each key that has one, see Outcome in db/sales.py.
_OUTCOMES = """
    SELECT key, product, quantity, :reason::text, NULL::bigint, reason FROM refused WHERE key = ANY(:keys::text[])
    UNION ALL
    SELECT key, product, -delta, reason, price_cents, NULL FROM stock_ledger WHERE key = ANY(:keys::text[])"""
# The entries are numbered in the order of the arrays. The ledger's trigger changes the stock.
_INSERT_ENTRIES = """
    INSERT INTO stock_ledger (product, delta, balance, reason, key, price_cents)
    SELECT product, delta, balance, :reason, key, price_cents
    FROM unnest(:products::text[], :deltas::bigint[], :balances::bigint[], :keys::text[], :prices_cents::bigint[])
        AS entries (product, delta, balance, key, price_cents)"""
_INSERT_REFUSALS = """
    INSERT INTO refused (key, product, quantity, reason)
    SELECT * FROM unnest(:keys::text[], :products::text[], :quantities::bigint[], :reasons::text[])"""
_FOLD = """
    UPDATE products SET folded = better.folded
    FROM unnest(:names::text[], :folded::text[]) AS better (name, folded) WHERE products.name = better.name"""


def _sell(session: Session, buys: Sequence[Buy], reason: Reason, log: LogMark | None) -> list[Sale]:
    """Returns the outcome of each buy, in two round trips: it locks and reads for all, decides, and writes for all."""
    keys = [buy.key for buy in buys]
    # The outcomes are read after the keys are locked, and as they are then: each statement has a snapshot of its own.
    [(is_ours,)], _, outcomes, rows = session.fetch_together(
        _is_ours(log),
        lock_keys(keys),
        (_OUTCOMES, {"keys": keys, "reason": reason}),
        lock_products(buy.product for buy in buys),
    )
    if not is_ours:
        raise AnotherStore
    stock = {name: Product(name, price_cents, quantity) for name, price_cents, quantity, retired in rows if not retired}
    sales, entries, refusals = decide(buys, reason, outcomes, stock)
    writes = [_insert_entries(entries, reason)] if entries else []
    if refusals:
        writes.append(_insert_refusals(refusals))
    session.commit_with(*writes)
    return sales


def _insert_entries(entries: Sequence[Mapping[str, Any]], reason: str) -> Statement:
    return _INSERT_ENTRIES, {
        "reason": reason,
        "products": [entry["product"] for entry in entries],
        "deltas": [entry["delta"] for entry in entries],
        "balances": [entry["balance"] for entry in entries],
        "keys": [entry["key"] for entry in entries],
        "prices_cents": [entry["price_cents"] for entry in entries],
    }


def _insert_refusals(refusals: Sequence[Mapping[str, Any]]) -> Statement:
    return _INSERT_REFUSALS, {
        "keys": [refusal["key"] for refusal in refusals],
        "products": [refusal["product"] for refusal in refusals],
        "quantities": [refusal["quantity"] for refusal in refusals],
        "reasons": [refusal["reason"] for refusal in refusals],
    }
