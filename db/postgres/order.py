"""The order log on PostgreSQL: orders, refused buys, returns, and the intents of buys and returns still in doubt."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from db import returns as db_returns
from db.order_log import (
    Logged,
    decide_beginning,
    decide_ending,
    known_buy,
    logged_by_key,
    order_of_key,
    row,
    with_distinct_keys,
)
from db.postgres.database import Database
from db.postgres.locks import lock_keys
from db.postgres.migrate import migrate
from db.postgres.session import Row, Session, Statement
from domain.pairing import Introduction, LogMark, mismatch
from domain.protocols import Placed, Sale
from domain.returns import Return, ReturnOutcome, SaleReturn, TakeBack
from domain.values import Buy, KnownBuy, Order

SCHEMA = "log"
MIGRATIONS = Path(__file__).parents[2] / "migrations" / "postgres" / "log"

_ORDER = "SELECT key, number, product, quantity, price_cents, time FROM orders WHERE number = :number"
_KNOWN = """
    SELECT key FROM orders WHERE key = ANY(:keys::text[])
    UNION ALL SELECT key FROM refused WHERE key = ANY(:keys::text[])
    UNION ALL SELECT key FROM intents WHERE key = ANY(:keys::text[])"""
_IN_DOUBT = "SELECT key FROM intents WHERE key = ANY(:keys::text[])"
_INTENTS = "SELECT key, product, quantity FROM intents ORDER BY begun LIMIT :limit OFFSET :skip"
# A row for each key that is in the log or in doubt, see known_buy in db/order_log.py. The end of a buy stands last.
_FIND = """
    SELECT key, product, quantity, NULL::bigint, NULL::bigint, NULL, NULL, NULL::bigint, 0 AS ended
    FROM intents WHERE key = ANY(:keys::text[])
    UNION ALL
    SELECT key, product, quantity, NULL, NULL, NULL, reason, NULL, 1 FROM refused WHERE key = ANY(:keys::text[])
    UNION ALL
    SELECT key, product, quantity, number, price_cents, time, NULL,
        (SELECT sum(quantity)::bigint FROM returns WHERE returns.number = orders.number), 1
    FROM orders WHERE key = ANY(:keys::text[]) ORDER BY ended"""


class OrderStore:
    """The order log in the schema `log` of a database. Each public method is one transaction; any thread may call it.

    Several order tiers may share one log. What tells how a buy ended is read in a transaction that writes: see
    `Database.run`.
    """

    def __init__(self, database: Database) -> None:
        """Uses the connections of `database`, whose schema must be SCHEMA."""
        self._database = database
        self._mark: LogMark | None = None

    def migrate(self) -> None:
        """Creates the schema, or brings it to its newest version, see db/postgres/migrate.py. Raises StartRefused."""
        migrate(self._database.address, self._database.schema, MIGRATIONS, "ORDER_DATABASE")

    def begin(self, buys: Sequence[Buy]) -> list[Placed | None]:
        """Writes the intent of each buy. Returns for each None, or its outcome if the log knows its key already."""
        groups = list(with_distinct_keys((buy.key, buy) for buy in buys))
        if not groups:
            return []

        def work(session: Session) -> list[Placed | None]:
            outcomes: list[Placed | None] = []
            _, logged, newest = session.fetch_together(
                lock_keys(buy.key for buy in buys), _logged(groups[0]), (_NEWEST, {})
            )
            for group, following in _pairs(groups):
                group_outcomes, intents = decide_beginning(group, logged_by_key(logged))
                outcomes += group_outcomes
                logged = _write(session, [(_INSERT_INTENTS, _columns(intents))] if intents else [], following)
            self._note_newest(newest)
            return outcomes

        return self._database.run(work)

    def finish(self, sales: Sequence[tuple[Buy, Sale]]) -> list[Placed]:
        """Logs how each buy ended, once for its key, and deletes its intent. Returns what the log says of each."""
        groups = list(with_distinct_keys((sale[0].key, sale) for sale in sales))
        if not groups:
            return []

        def work(session: Session) -> list[Placed]:
            placed: list[Placed] = []
            _, rows = session.fetch_together(lock_keys(buy.key for buy, _ in sales), _logged(groups[0]))
            for group, following in _pairs(groups):
                ended, rows = _finish(session, group, logged_by_key(rows), following)
                placed += [ended[key] for key in group]
            return placed

        placed = self._database.run(work)
        numbers = [(number, buy.key) for number, (buy, _) in zip(placed, sales, strict=True) if isinstance(number, int)]
        if numbers:
            self._note_newest([(max(numbers)[1],)])
        return placed

    def _note_newest(self, newest: Sequence[Row]) -> None:
        """Updates the mark with the key of the newest order: the catalog must be at least as new as that order.

        Where other order tiers have logged newer orders meanwhile, the mark is a little old, and as right.
        """
        if self._mark is not None and newest:
            self._mark = LogMark(self._mark.store, newest[0][0])

    def mark(self) -> LogMark | None:
        """Returns what the log sends with each call to its catalog; None while it belongs to no store yet."""
        if self._mark is None:
            with self._database.snapshot() as session:
                store, newest = session.fetch_together((_STORE, {}), (_NEWEST, {}))
            self._mark = LogMark(store[0][0], newest[0][0] if newest else None) if store else None
        return self._mark

    def last_order(self) -> str | None:
        """Returns the key of the newest order, by which the catalog recognizes the log."""
        with self._database.read() as session:
            rows = session.fetch_all(_NEWEST, {})
        return rows[0][0] if rows else None

    def pair(self, catalog: Introduction) -> str | None:
        """Returns why the catalog that introduced itself is not of this log's store; None when it is.

        The introduction must be for this log's newest order. A log without a store adopts the catalog's store id.
        """

        def work(session: Session) -> str | None:
            # The lock lets one order tier after the other adopt an id: two could be asked by two catalogs.
            _, store, sales = session.fetch_together(
                (_LOCK_STORE, {}), (_STORE, {}), (_SALES, {"keys": list(catalog.newest_sold)})
            )
            is_ordered: dict[str, bool] = dict(sorted(sales, key=lambda sale: bool(sale[1])))
            why = mismatch(store[0][0] if store else None, catalog, is_ordered.get)
            if why is None and not store and catalog.id is not None:
                session.fetch_all(_ADOPT, {"id": catalog.id})
            return why

        return self._database.run(work)

    def known(self, keys: Sequence[str]) -> set[str]:
        """Returns those of the keys that are in the log or in doubt."""
        with self._database.read() as session:
            return {key for (key,) in session.fetch_all(_KNOWN, {"keys": list(keys)})}

    def in_doubt(self, keys: Sequence[str]) -> set[str]:
        """Returns those of the keys that are in doubt."""
        with self._database.read() as session:
            return {key for (key,) in session.fetch_all(_IN_DOUBT, {"keys": list(keys)})}

    def intents(self, limit: int, skip: int = 0) -> list[Buy]:
        """Returns the oldest `limit` buys in doubt behind the first `skip`."""
        with self._database.read() as session:
            return [Buy(*found) for found in session.fetch_all(_INTENTS, {"limit": limit, "skip": skip})]

    def order(self, number: int, key: str | None = None) -> Order:
        """Returns the order of this number and, if one is given, of this key. Raises OrderNotFound."""
        [rows] = self._database.run(lambda session: session.commit_with((_ORDER, {"number": number})))
        return order_of_key(rows, key)

    def find(self, keys: Sequence[str]) -> list[KnownBuy | None]:
        """Returns the buy of each key, in their order; None for a key that the log does not know."""
        values = {"keys": list(dict.fromkeys(keys))}
        [rows] = self._database.run(lambda session: session.commit_with((_FIND, values)))
        known = {found[0]: known_buy(*found[:-1]) for found in rows}
        return [known.get(key) for key in keys]

    def begin_returns(self, returns: Sequence[Return]) -> list[SaleReturn | ReturnOutcome]:
        """Writes the intent of each return. Returns what the catalog must take back, or how the return has ended."""

        def work(session: Session) -> list[SaleReturn | ReturnOutcome]:
            numbers = sorted({asked.number for asked in returns})
            session.fetch_together(lock_keys(asked.key for asked in returns), (_LOCK_ORDERS, {"numbers": numbers}))
            return [db_returns.begin(session.fetch_all, asked) for asked in returns]

        return self._database.run(work)

    def finish_returns(self, taken: Sequence[tuple[SaleReturn, TakeBack]]) -> list[ReturnOutcome]:
        """Logs how each return ended, once for its key, and deletes its intent. Returns what the log says of each."""

        def work(session: Session) -> list[ReturnOutcome]:
            sales = sorted({pieces.sale for pieces, _ in taken})
            session.fetch_together(lock_keys(pieces.key for pieces, _ in taken), (_LOCK_SALES, {"sales": sales}))
            return [db_returns.finish(session.fetch_all, *one) for one in taken]

        return self._database.run(work)

    def return_intents(self, limit: int, skip: int = 0) -> list[SaleReturn]:
        """Returns the oldest `limit` returns in doubt behind the first `skip`."""
        with self._database.read() as session:
            return db_returns.intents(session.fetch_all, limit, skip)

    def require_writable(self) -> None:
        """Raises Unavailable when the database takes no writes."""
        self._database.require_writable()

    def close(self) -> None:
        """Closes the connections that nobody uses."""
        self._database.close()


_NEWEST = "SELECT key FROM orders ORDER BY number DESC LIMIT 1"
_STORE = "SELECT id FROM store"
_LOCK_STORE = "LOCK TABLE store IN SHARE ROW EXCLUSIVE MODE"
_ADOPT = "INSERT INTO store (id) VALUES (:id)"
# Whether each sale is ordered, or else in doubt.
_SALES = """
    SELECT key, FALSE FROM intents WHERE key = ANY(:keys::text[])
    UNION ALL SELECT key, TRUE FROM orders WHERE key = ANY(:keys::text[])"""
# One order after the other, so that two transactions do not wait for each other.
_LOCK_ORDERS = "SELECT 1 FROM orders WHERE number = ANY(:numbers::bigint[]) ORDER BY number FOR NO KEY UPDATE"
_LOCK_SALES = "SELECT 1 FROM orders WHERE key = ANY(:sales::text[]) ORDER BY number FOR NO KEY UPDATE"

# A row for each key that the log knows, see Row in db/order_log.py.
_LOGGED = """
    SELECT key, product, quantity, NULL::bigint, NULL FROM intents WHERE key = ANY(:keys::text[])
    UNION ALL SELECT key, product, quantity, NULL, reason FROM refused WHERE key = ANY(:keys::text[])
    UNION ALL SELECT key, product, quantity, number, NULL FROM orders WHERE key = ANY(:keys::text[])"""
_INSERT_INTENTS = """
    INSERT INTO intents (key, product, quantity)
    SELECT * FROM unnest(:keys::text[], :products::text[], :quantities::bigint[])"""
# The number is raised by the size of the batch. Its row stays locked until the batch is committed, and on every standby
# that the COMMIT waits for: so the numbers are in the order of the commits, and a rollback burns none.
_INSERT_ORDERS = """
    WITH raised AS (UPDATE last_number SET number = number + :size RETURNING number - :size AS before)
    INSERT INTO orders (number, key, product, quantity, price_cents)
    SELECT before + place, key, product, quantity, price_cents
    FROM raised, unnest(:keys::text[], :products::text[], :quantities::bigint[], :prices_cents::bigint[])
        WITH ORDINALITY AS sold (key, product, quantity, price_cents, place)
    RETURNING key, number"""
_INSERT_REFUSALS = """
    INSERT INTO refused (key, product, quantity, reason)
    SELECT * FROM unnest(:keys::text[], :products::text[], :quantities::bigint[], :reasons::text[])"""
# Compares the whole buy, because another one may have begun under the same key after this one ended.
_DELETE_INTENTS = """
    DELETE FROM intents USING unnest(:keys::text[], :products::text[], :quantities::bigint[])
        AS ended (key, product, quantity)
    WHERE (intents.key, intents.product, intents.quantity) = (ended.key, ended.product, ended.quantity)"""


def _logged(keys: Iterable[str]) -> Statement:
    """Returns the statement that reads what the log has under these keys."""
    return _LOGGED, {"keys": list(keys)}


def _pairs(groups: Sequence[Mapping[str, Any]]) -> Iterable[tuple[Mapping[str, Any], Mapping[str, Any] | None]]:
    """Returns each group of a batch with the one that follows it, None behind the last."""
    return zip(groups, [*groups[1:], None], strict=True)


def _write(session: Session, writes: Sequence[Statement], following: Iterable[str] | None) -> list[Row]:
    """Writes the rows of a group, and returns what the log then has under the keys of the group that follows.

    Commits with the rows of the last group, behind which none follows.
    """
    if following is None:
        session.commit_with(*writes)
        return []
    return session.fetch_together(*writes, _logged(following))[-1]


def _finish(
    session: Session,
    sales: Mapping[str, tuple[Buy, Sale]],
    logged: Mapping[str, Logged],
    following: Iterable[str] | None,
) -> tuple[dict[str, Placed], list[Row]]:
    """Ends a group of buys. Returns how each ended, and what the log then has under the keys that follow."""
    placed, orders, refusals = decide_ending(sales, logged)
    writes: list[Statement] = []
    if refusals:
        writes.append((_INSERT_REFUSALS, _columns(refusals) | {"reasons": [one["reason"] for one in refusals]}))
    # The number is locked by the last statements before the COMMIT, so that the next batch waits for as little.
    if orders:
        prices_cents = [order["price_cents"] for order in orders]
        writes.append((_INSERT_ORDERS, _columns(orders) | {"prices_cents": prices_cents, "size": len(orders)}))
    delete = _DELETE_INTENTS, _columns([row(buy) for buy, _ in sales.values()])
    if following is None:
        results, rows = session.commit_with(*writes, delete), []
    else:
        *results, rows = session.fetch_together(*writes, delete, _logged(following))
    if orders:
        placed |= dict(results[len(writes) - 1])
    return placed, rows


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns the columns of buys as one array each."""
    return {
        "keys": [one["key"] for one in rows],
        "products": [one["product"] for one in rows],
        "quantities": [one["quantity"] for one in rows],
    }
