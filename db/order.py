"""The order log: orders, refused buys, and the intents of buys still in doubt."""

import hmac
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import apsw

from db.connection import fetch_all, fetch_each, json_list
from db.database import Database
from db.migrate import migrate
from db.pairing import id_in, last_order, objection
from domain.errors import REFUSALS, KeyReused, OrderNotFound, Refused
from domain.pairing import Introduction, LogMark
from domain.protocols import Receipt, Step
from domain.values import Buy, Order, Sold

APPLICATION_ID = 0x746F796F  # "toyo", see PRAGMA application_id
MIGRATIONS = Path(__file__).parents[1] / "migrations" / "order"

_ORDER = "SELECT key, number, product, quantity, price_cents, time FROM orders WHERE number = :number"
_KNOWN = """
    SELECT key FROM orders WHERE key IN (SELECT value FROM json_each(:keys))
    UNION ALL SELECT key FROM refused WHERE key IN (SELECT value FROM json_each(:keys))
    UNION ALL SELECT key FROM intents WHERE key IN (SELECT value FROM json_each(:keys))"""
_IN_DOUBT = "SELECT key FROM intents WHERE key IN (SELECT value FROM json_each(:keys))"
_INTENTS = "SELECT key, product, quantity FROM intents ORDER BY begun LIMIT :limit OFFSET :skip"


class OrderStore:
    """The order log in one SQLite file. Each public method is one transaction; any thread may call it."""

    def __init__(self, path: Path, require: Callable[[], object] = lambda: None) -> None:
        """`require` is asked before the first use, see Database."""
        self._database = Database(path, require)
        self._mark: LogMark | None = None

    def migrate(self, *, keep_copy: bool = True) -> None:
        """Create the file, or bring it to the newest schema, see db/migrate.py. Raises StartRefused."""
        migrate(self._database.path, MIGRATIONS, APPLICATION_ID, keep_copy=keep_copy)

    def write(self, steps: Sequence[Step]) -> list[Receipt | None]:
        """One transaction for all steps; the receipt of each.

        A buy that begins has a receipt when it is already in the log; otherwise None, and its intent is on disk.
        A buy that is finished is written down, once for its key, and its intent is dropped.
        """
        with self._database.write() as transaction:
            receipts = [receipt for stretch in _stretches(steps) for receipt in _write(transaction, stretch)]
            self._note_newest(transaction)
        return receipts

    def _note_newest(self, transaction: apsw.Connection) -> None:
        """An older order, such as one that another worker had before, would tell less of the catalog's age.

        Should the commit fail, it is of an order that the catalog has sold all the same.
        """
        if self._mark is not None and (newest := fetch_all(transaction, _NEWEST, {})):
            self._mark = LogMark(self._mark.store, newest[0][0])

    def mark(self) -> LogMark | None:
        """The log's word of itself for each call to its catalog; None as long as it has met none."""
        if self._mark is None:
            with self._database.read() as connection:
                store = id_in(connection)
                self._mark = None if store is None else LogMark(store, last_order(connection))
        return self._mark

    def last_order(self) -> str | None:
        """The key of the newest order, for its catalog to know it by."""
        with self._database.read() as connection:
            return last_order(connection)

    def meet(self, catalog: Introduction) -> str | None:
        """Why this is not the log of the catalog that was introduced to its newest order; None when it is.

        A log that has met none yet takes the store's id from this one.
        """
        with self._database.read() as connection:
            why = objection(connection, catalog)
        if why is None and catalog.id is not None and self.mark() is None:
            with self._database.write() as transaction:
                # Another worker may have been faster, and with another catalog.
                if (why := objection(transaction, catalog)) is None and id_in(transaction) is None:
                    fetch_all(transaction, _ADOPT, {"id": catalog.id})
        return why

    def known(self, keys: Sequence[str]) -> set[str]:
        """Those of the keys that are in the log or in doubt."""
        with self._database.read() as connection:
            return {key for (key,) in fetch_all(connection, _KNOWN, {"keys": json_list(keys)})}

    def in_doubt(self, keys: Sequence[str]) -> set[str]:
        """Those of the keys that are in doubt."""
        with self._database.read() as connection:
            return {key for (key,) in fetch_all(connection, _IN_DOUBT, {"keys": json_list(keys)})}

    def intents(self, limit: int, skip: int = 0) -> list[Buy]:
        """The oldest buys in doubt, behind the first `skip`."""
        with self._database.read() as connection:
            return [Buy(*row) for row in fetch_all(connection, _INTENTS, {"limit": limit, "skip": skip})]

    def order(self, number: int, key: str | None = None) -> Order:
        """The order of this number, and, if one is given, of this key. Raises OrderNotFound."""
        with self._database.read() as connection:
            rows = fetch_all(connection, _ORDER, {"number": number})
        if not rows:
            raise OrderNotFound
        order_key, *order = rows[0]
        # In a time that does not tell how much of a guessed key was right.
        if key is not None and not hmac.compare_digest(key.encode(), order_key.encode()):
            raise OrderNotFound
        return Order(*order)

    def require_writable(self) -> None:
        """Raises Unavailable when the disk takes no writes."""
        self._database.require_writable()

    def close(self) -> None:
        """Close this thread's connection."""
        self._database.close()


_NEWEST = "SELECT key FROM orders ORDER BY number DESC LIMIT 1"
_ADOPT = "INSERT INTO store (id) VALUES (:id)"


def _stretches(steps: Iterable[Step]) -> Iterator[dict[str, Step]]:
    """The steps in their order, by key. A key that comes again begins a new stretch, which sees what the last wrote."""
    stretch: dict[str, Step] = {}
    for step in steps:
        key = step[0].key
        if key in stretch:
            yield stretch
            stretch = {}
        stretch[key] = step
    if stretch:
        yield stretch


# One row for each of the keys: the buy that it stands for, how that ended, and the intent if it has not.
_LOGGED = """
    SELECT asked.value, coalesce(orders.product, refused.product, intents.product),
        coalesce(orders.quantity, refused.quantity, intents.quantity), number, price_cents, orders.time, reason
    FROM json_each(:keys) AS asked LEFT JOIN orders ON orders.key = asked.value
    LEFT JOIN refused ON refused.key = asked.value LEFT JOIN intents ON intents.key = asked.value"""
_INSERT_INTENT = "INSERT INTO intents (key, product, quantity) VALUES (:key, :product, :quantity)"
# The first number is 0; behind it AUTOINCREMENT counts. A rolled-back insert burns no number.
_INSERT_ORDER = """
    INSERT INTO orders (number, key, product, quantity, price_cents)
    VALUES ((SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM orders)), :key, :product, :quantity, :price_cents)
    RETURNING key, number, product, quantity, price_cents, time"""
_INSERT_REFUSAL = "INSERT INTO refused (key, product, quantity, reason) VALUES (:key, :product, :quantity, :reason)"
# Each buy's intent, not one of another buy that came under the same key after this one had ended.
_DELETE_INTENT = "DELETE FROM intents WHERE key = :key AND product = :product AND quantity = :quantity"


def _write(transaction: apsw.Connection, steps: Mapping[str, Step]) -> list[Receipt | None]:
    """Read what is known of all keys, decide for each step, write for all: far cheaper than one step after the other.

    Each key stands for one step, so no step depends on another, and orders are numbered in the order of the steps.
    """
    # Another thread, or the recovery, may have brought the same buy to its end meanwhile: the log's word stands.
    logged = {row[0]: _logged(*row) for row in fetch_all(transaction, _LOGGED, {"keys": json_list(steps)})}
    receipts: dict[str, Receipt | None] = {}
    begun, sold, refused, finished = [], [], [], []
    for key, (buy, sale) in steps.items():
        known, receipt = logged[key]
        row = {"key": key, "product": buy.product, "quantity": buy.quantity}
        if sale is not None:
            finished.append(row)
        if receipt is not None or sale is None:
            receipts[key] = receipt if known in (buy, None) else KeyReused()
            if known is None:
                begun.append(row)
        elif isinstance(sale, Sold):
            receipts[key] = None  # until it has a number
            sold.append(row | {"price_cents": sale.price_cents})
        else:
            receipts[key] = sale
            if isinstance(sale, Refused):
                refused.append(row | {"reason": sale.message})
    fetch_each(transaction, _INSERT_INTENT, begun)
    receipts |= {key: Order(*order) for key, *order in fetch_each(transaction, _INSERT_ORDER, sold)}
    fetch_each(transaction, _INSERT_REFUSAL, refused)
    fetch_each(transaction, _DELETE_INTENT, finished)
    return list(receipts.values())


def _logged(
    key: str, product: str | None, quantity: int, number: int | None, price_cents: int, time: str, reason: str | None
) -> tuple[Buy | None, Receipt | None]:
    """The buy that the key stands for, and how it ended; None for what is not so yet."""
    if product is None:
        return None, None
    if number is not None:
        return Buy(key, product, quantity), Order(number, product, quantity, price_cents, time)
    return Buy(key, product, quantity), REFUSALS[reason]() if reason is not None else None
