"""The order log: orders, refused buys, returns, and the intents of buys and returns still in doubt."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

import apsw

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
from db.sqlite.connection import fetch_all, fetch_each, json_list
from db.sqlite.database import Database
from db.sqlite.migrate import migrate
from db.sqlite.pairing import id_in, last_order, mismatch
from domain.pairing import Introduction, LogMark
from domain.protocols import Placed, Sale
from domain.returns import Return, ReturnOutcome, SaleReturn, TakeBack
from domain.values import Buy, KnownBuy, Order

APPLICATION_ID = 0x746F796F  # "toyo", see PRAGMA application_id
MIGRATIONS = Path(__file__).parents[2] / "migrations" / "order"

_ORDER = "SELECT key, number, product, quantity, price_cents, time FROM orders WHERE number = :number"
_KNOWN = """
    SELECT key FROM orders WHERE key IN (SELECT value FROM json_each(:keys))
    UNION ALL SELECT key FROM refused WHERE key IN (SELECT value FROM json_each(:keys))
    UNION ALL SELECT key FROM intents WHERE key IN (SELECT value FROM json_each(:keys))"""
_IN_DOUBT = "SELECT key FROM intents WHERE key IN (SELECT value FROM json_each(:keys))"
_INTENTS = "SELECT key, product, quantity FROM intents ORDER BY begun LIMIT :limit OFFSET :skip"

# A row for each key: its buy, number, price and time of its order, the reason of its refusal, and the pieces that were
# given back; NULL for what there is not.
_FIND = """
    SELECT asked.value, coalesce(orders.product, refused.product, intents.product),
        coalesce(orders.quantity, refused.quantity, intents.quantity), number, price_cents, orders.time, reason,
        (SELECT sum(quantity) FROM returns WHERE returns.number = orders.number)
    FROM json_each(:keys) AS asked LEFT JOIN orders ON orders.key = asked.value
    LEFT JOIN refused ON refused.key = asked.value LEFT JOIN intents ON intents.key = asked.value"""


class OrderStore:
    """The order log in one SQLite file. Each public method is one transaction; any thread may call it."""

    def __init__(self, path: Path, require: Callable[[], object] = lambda: None) -> None:
        """Calls `require` before the first use, see Database."""
        self._database = Database(path, require)
        self._mark: LogMark | None = None

    def migrate(self, *, keep_copy: bool = True) -> None:
        """Creates the file, or brings it to the newest schema, see db/sqlite/migrate.py. Raises StartRefused."""
        migrate(self._database.path, MIGRATIONS, APPLICATION_ID, keep_copy=keep_copy)

    def begin(self, buys: Sequence[Buy]) -> list[Placed | None]:
        """Writes the intent of each buy. Returns for each None, or its outcome if the log knows its key already."""
        with self._database.write() as transaction:
            outcomes = [
                outcome
                for distinct in with_distinct_keys((buy.key, buy) for buy in buys)
                for outcome in _begin(transaction, distinct)
            ]
            self._note_newest(transaction)
        return outcomes

    def finish(self, sales: Sequence[tuple[Buy, Sale]]) -> list[Placed]:
        """Logs how each buy ended, once for its key, and deletes its intent. Returns what the log says of each."""
        with self._database.write() as transaction:
            placed = [
                answer
                for distinct in with_distinct_keys((sale[0].key, sale) for sale in sales)
                for answer in _finish(transaction, distinct)
            ]
            self._note_newest(transaction)
        return placed

    def _note_newest(self, transaction: apsw.Connection) -> None:
        """Updates the mark with the newest order: the catalog must be at least as new as the order in the mark.

        If the commit fails, the mark stays right, because the catalog has sold that order before.
        """
        if self._mark is not None and (newest := fetch_all(transaction, _NEWEST, {})):
            self._mark = LogMark(self._mark.store, newest[0][0])

    def mark(self) -> LogMark | None:
        """Returns what the log sends with each call to its catalog; None while it belongs to no store yet."""
        if self._mark is None:
            with self._database.read() as connection:
                store = id_in(connection)
                self._mark = None if store is None else LogMark(store, last_order(connection))
        return self._mark

    def last_order(self) -> str | None:
        """Returns the key of the newest order, by which the catalog recognizes the log."""
        with self._database.read() as connection:
            return last_order(connection)

    def pair(self, catalog: Introduction) -> str | None:
        """Returns why the catalog that introduced itself is not of this log's store; None when it is.

        The introduction must be for this log's newest order. A log without a store adopts the catalog's store id.
        """
        with self._database.read() as connection:
            why = mismatch(connection, catalog)
        if why is None and catalog.id is not None and self.mark() is None:
            with self._database.write() as transaction:
                # Another worker may have adopted an id meanwhile, perhaps that of another catalog.
                if (why := mismatch(transaction, catalog)) is None and id_in(transaction) is None:
                    fetch_all(transaction, _ADOPT, {"id": catalog.id})
        return why

    def known(self, keys: Sequence[str]) -> set[str]:
        """Returns those of the keys that are in the log or in doubt."""
        with self._database.read() as connection:
            return {key for (key,) in fetch_all(connection, _KNOWN, {"keys": json_list(keys)})}

    def in_doubt(self, keys: Sequence[str]) -> set[str]:
        """Returns those of the keys that are in doubt."""
        with self._database.read() as connection:
            return {key for (key,) in fetch_all(connection, _IN_DOUBT, {"keys": json_list(keys)})}

    def intents(self, limit: int, skip: int = 0) -> list[Buy]:
        """Returns the oldest `limit` buys in doubt behind the first `skip`."""
        with self._database.read() as connection:
            return [Buy(*row) for row in fetch_all(connection, _INTENTS, {"limit": limit, "skip": skip})]

    def order(self, number: int, key: str | None = None) -> Order:
        """Returns the order of this number and, if one is given, of this key. Raises OrderNotFound."""
        with self._database.read() as connection:
            rows = fetch_all(connection, _ORDER, {"number": number})
        return order_of_key(rows, key)

    def find(self, keys: Sequence[str]) -> list[KnownBuy | None]:
        """Returns the buy of each key, in their order; None for a key that the log does not know."""
        with self._database.read() as connection:
            rows = fetch_all(connection, _FIND, {"keys": json_list(list(dict.fromkeys(keys)))})
        known = {found[0]: known_buy(*found) for found in rows}
        return [known[key] for key in keys]

    def begin_returns(self, returns: Sequence[Return]) -> list[SaleReturn | ReturnOutcome]:
        """Writes the intent of each return. Returns what the catalog must take back, or how the return has ended."""
        with self._database.write() as transaction:
            return [db_returns.begin(partial(fetch_all, transaction), asked) for asked in returns]

    def finish_returns(self, taken: Sequence[tuple[SaleReturn, TakeBack]]) -> list[ReturnOutcome]:
        """Logs how each return ended, once for its key, and deletes its intent. Returns what the log says of each."""
        with self._database.write() as transaction:
            return [db_returns.finish(partial(fetch_all, transaction), *one) for one in taken]

    def return_intents(self, limit: int, skip: int = 0) -> list[SaleReturn]:
        """Returns the oldest `limit` returns in doubt behind the first `skip`."""
        with self._database.read() as connection:
            return db_returns.intents(partial(fetch_all, connection), limit, skip)

    def require_writable(self) -> None:
        """Raises Unavailable when the disk takes no writes."""
        self._database.require_writable()

    def close(self) -> None:
        """Closes this thread's connection."""
        self._database.close()


_NEWEST = "SELECT key FROM orders ORDER BY number DESC LIMIT 1"
_ADOPT = "INSERT INTO store (id) VALUES (:id)"


# One row for each key: the buy that it stands for and how that ended, both NULL where the log does not know it.
_LOGGED = """
    SELECT asked.value, coalesce(orders.product, refused.product, intents.product),
        coalesce(orders.quantity, refused.quantity, intents.quantity), number, reason
    FROM json_each(:keys) AS asked LEFT JOIN orders ON orders.key = asked.value
    LEFT JOIN refused ON refused.key = asked.value LEFT JOIN intents ON intents.key = asked.value"""


def _logged(transaction: apsw.Connection, keys: Iterable[str]) -> dict[str, Logged]:
    return logged_by_key(fetch_all(transaction, _LOGGED, {"keys": json_list(keys)}))


# _begin and _finish read the log for all keys, decide, and write for all: one buy after the other would cost far more.

_INSERT_INTENT = "INSERT INTO intents (key, product, quantity) VALUES (:key, :product, :quantity)"


def _begin(transaction: apsw.Connection, buys: Mapping[str, Buy]) -> list[Placed | None]:
    outcomes, intents = decide_beginning(buys, _logged(transaction, buys))
    fetch_each(transaction, _INSERT_INTENT, intents)
    return outcomes


# The first number is 0; after it AUTOINCREMENT counts. A rolled-back insert burns no number.
_INSERT_ORDER = """
    INSERT INTO orders (number, key, product, quantity, price_cents)
    VALUES ((SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM orders)), :key, :product, :quantity, :price_cents)
    RETURNING key, number"""
_INSERT_REFUSAL = "INSERT INTO refused (key, product, quantity, reason) VALUES (:key, :product, :quantity, :reason)"
# Compares the whole buy, because another one may have begun under the same key after this one ended.
_DELETE_INTENT = "DELETE FROM intents WHERE key = :key AND product = :product AND quantity = :quantity"


def _finish(transaction: apsw.Connection, sales: Mapping[str, tuple[Buy, Sale]]) -> list[Placed]:
    """Numbers the orders in the order of the sales."""
    placed, orders, refusals = decide_ending(sales, _logged(transaction, sales))
    placed |= {key: number for key, number in fetch_each(transaction, _INSERT_ORDER, orders)}
    fetch_each(transaction, _INSERT_REFUSAL, refusals)
    fetch_each(transaction, _DELETE_INTENT, [row(buy) for buy, _ in sales.values()])
    return [placed[key] for key in sales]
