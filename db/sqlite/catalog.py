"""The catalog: products, their stock, and the ledger of every change."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import apsw

from db.product_changes import add
from db.sales import Reason, decide
from db.sqlite.connection import fetch_all, fetch_each, json_list
from db.sqlite.database import Database
from db.sqlite.migrate import migrate
from db.sqlite.pairing import introduce, is_sold
from db.take_back import take_back
from domain.errors import AnotherStore, ProductNotFound
from domain.pairing import Introduction, LogMark
from domain.protocols import Sale
from domain.returns import SaleReturn, TakeBack
from domain.values import Buy, Product, Sold, fold

APPLICATION_ID = 0x746F7963  # "toyc", see PRAGMA application_id
MIGRATIONS = Path(__file__).parents[2] / "migrations" / "catalog"

_PRODUCTS = """
    SELECT name, price_cents, quantity
    FROM json_each(:names) AS asked LEFT JOIN products ON name = asked.value AND NOT retired"""
_ANY = "SELECT 1 FROM products LIMIT 1"
# One row with the whole page as JSON: SQLite writes it without the interpreter and its lock, which buys need. It reads
# the rows in the order of their names, up to the last one of the page. For a `q` that few names have, these are all
# rows, 0.1 µs each; an index of their letters is faster for some `q` and slower for others. The SELECTs are nested,
# for WITH would keep each step of a large page in a table of its own, three times as slow.
_PAGE = """
    SELECT CAST(printf('{"data": [%s], "next": %s}', items, json_quote(CASE
        WHEN size = :limit AND (
            SELECT 1 FROM products WHERE name > last AND retired = 0 AND instr(folded, :q) LIMIT 1)
        THEN last END)) AS BLOB)
    FROM (
        SELECT group_concat(printf(
            '{"name": %s, "price": %d.%d%s, "quantity": %d}', json_quote(name),
            price_cents / 100, price_cents % 100 / 10, nullif(price_cents % 10, 0), quantity), ', ') AS items,
            max(name) AS last, count(*) AS size
        FROM (
            SELECT name, price_cents, quantity FROM products
            WHERE name > :after AND retired = 0 AND instr(folded, :q) ORDER BY name LIMIT :limit))"""


class CatalogStore:
    """The catalog in one SQLite file. Each public method is one transaction; any thread may call it.

    The methods ignore `timeout_s`, which is for clients over HTTP: SQLite's busy timeout bounds the wait.
    """

    def __init__(self, path: Path, require: Callable[[], object] = lambda: None) -> None:
        """Calls `require` before the first use, see Database."""
        self._database = Database(path, require)

    def migrate(self, *, keep_copy: bool = True) -> None:
        """Creates the file, or brings it to the newest schema, see db/sqlite/migrate.py. Raises StartRefused."""
        migrate(self._database.path, MIGRATIONS, APPLICATION_ID, keep_copy=keep_copy)

    def product(self, name: str) -> Product:
        """Returns the product of this name. Raises ProductNotFound."""
        [found] = self.lookup([name])
        if isinstance(found, ProductNotFound):
            raise found
        return found

    def lookup(self, names: Sequence[str], timeout_s: float | None = None) -> list[Product | ProductNotFound]:
        """Returns the product of each name, in their order, or ProductNotFound in its place."""
        with self._database.read() as connection:
            found = _lookup(connection, names)
        return [found.get(name) or ProductNotFound() for name in names]

    def products(self, *, q: str = "", after: str = "", limit: int) -> bytes:
        """Returns at most `limit` products by name, after the name `after`, with `q` in the name in any case.

        The products come as JSON in UTF-8, see Catalog.products in domain/protocols.py.
        """
        with self._database.read() as connection:
            [(page,)] = fetch_all(connection, _PAGE, {"q": fold(q), "after": after, "limit": limit})
        assert isinstance(page, bytes)
        return page

    def sell(self, buys: Sequence[Buy], timeout_s: float | None = None, *, log: LogMark | None = None) -> list[Sale]:
        """Takes each buy from the stock, once for its key. Returns the outcome of each, in their order.

        Raises AnotherStore, and has sold nothing, when the order log `log` is not of this catalog's store.
        """
        with self._database.write() as transaction:
            if log is not None and not _is_ours(transaction, log):
                raise AnotherStore
            return _sell(transaction, buys, "sold")

    def take_back(
        self, returns: Sequence[SaleReturn], timeout_s: float | None = None, *, log: LogMark | None = None
    ) -> list[TakeBack]:
        """Puts the pieces of each return back into the stock, once for its key. Returns the outcome of each, in order.

        Raises AnotherStore, and takes nothing back, when the order log `log` is not of this catalog's store.
        """
        with self._database.write() as transaction:
            if log is not None and not _is_ours(transaction, log):
                raise AnotherStore
            return [take_back(partial(fetch_all, transaction), pieces) for pieces in returns]

    def decrement(self, buy: Buy, timeout_s: float | None = None) -> None:
        """Takes the pieces from the stock without an order, once for the key. Raises Refused, KeyReused."""
        with self._database.write() as transaction:
            [sale] = _sell(transaction, [buy], "decrement")
        if not isinstance(sale, Sold):
            raise sale

    def introduce(self, last_order: str | None, timeout_s: float | None = None) -> Introduction:
        """Returns which store this is, for an order log whose newest order has the key `last_order`."""
        with self._database.read() as connection:
            return introduce(connection, last_order)

    def is_empty(self) -> bool:
        """Whether there is no product yet."""
        with self._database.read() as connection:
            return not fetch_all(connection, _ANY, {})

    def load(self, products: Iterable[Product]) -> bool:
        """Adds the first products, all or none. Returns False, and adds nothing, when there are products already."""
        with self._database.write(adds_products=True) as transaction:
            if fetch_all(transaction, _ANY, {}):
                return False
            for product in products:
                add(partial(fetch_all, transaction), product)
            return True

    def require_writable(self) -> None:
        """Raises Unavailable when the disk takes no writes."""
        self._database.require_writable()

    def close(self) -> None:
        """Closes this thread's connection."""
        self._database.close()


def _lookup(connection: apsw.Connection, names: Iterable[str]) -> dict[str, Product]:
    """Returns the products of these names, by name; an unknown name is left out."""
    rows = fetch_all(connection, _PRODUCTS, {"names": json_list(set(names))})
    return {row[0]: Product(*row) for row in rows if row[0] is not None}


_HAS_OUR_ID = "SELECT 1 FROM store WHERE id = :store"


def _is_ours(transaction: apsw.Connection, log: LogMark) -> bool:
    """Whether the order log is of this store, and not newer than this catalog."""
    has_our_id = bool(fetch_all(transaction, _HAS_OUR_ID, {"store": log.store}))
    return has_our_id and (log.last_order is None or is_sold(transaction, log.last_order))


_OUTCOMES = """
    SELECT asked.value, coalesce(stock_ledger.product, refused.product), coalesce(-delta, quantity),
        coalesce(stock_ledger.reason, :reason), price_cents, refused.reason
    FROM json_each(:keys) AS asked LEFT JOIN stock_ledger ON stock_ledger.key = asked.value
    LEFT JOIN refused ON refused.key = asked.value WHERE entry IS NOT NULL OR refused.key IS NOT NULL"""
_INSERT_ENTRY = """
    INSERT INTO stock_ledger (product, delta, balance, reason, key, price_cents, note)
    VALUES (:product, :delta, :balance, :reason, :key, :price_cents, :note)"""
_INSERT_REFUSAL = "INSERT INTO refused (key, product, quantity, reason) VALUES (:key, :product, :quantity, :reason)"


def _sell(transaction: apsw.Connection, buys: Sequence[Buy], reason: Reason) -> list[Sale]:
    """Returns the outcome of each buy. Reads for all buys, decides for each in turn, and writes for all."""
    # The look-up of a key and the decrement share one transaction: in two, both of two equal buys could sell.
    outcomes = fetch_all(transaction, _OUTCOMES, {"keys": json_list(buy.key for buy in buys), "reason": reason})
    stock = _lookup(transaction, [buy.product for buy in buys])
    sales, entries, refusals = decide(buys, reason, outcomes, stock)
    fetch_each(transaction, _INSERT_ENTRY, entries)
    fetch_each(transaction, _INSERT_REFUSAL, refusals)
    return sales
