"""The owner's changes to the catalog: add, restock, write off, correct, reprice and retire a product.

Each change appends a row to `stock_ledger` or to `product_history`. The triggers of the two tables update `products`,
and other triggers refuse any direct change of it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import apsw

from db.sqlite.catalog import add, append_ledger_entry
from db.sqlite.connection import fetch_all
from db.sqlite.database import Database
from domain.errors import Invalid, KeyReused, ProductNotFound
from domain.names import visible_form
from domain.values import MAX_STOCK, Product


class ProductAdmin:
    """Changes the catalog's file for the owner. Each method is one transaction, and may run beside a selling store.

    Each change has an idempotency key. A method returns True when it made the change, and False when the same change
    was made under this key before. Each raises KeyReused when the key stands for another change or a buy, and
    Unavailable.
    """

    def __init__(self, path: Path, require: Callable[[], object] = lambda: None) -> None:
        """Calls `require` before the first use, see Database."""
        self._database = Database(path, require)

    def add(self, product: Product, key: str) -> bool:
        """Adds a product. Raises Invalid when its name, or one that looks the same, is or was in use.

        A name means one product for ever.
        """
        alike = self._alike(product.name)  # before the transaction, during which buys wait
        with self._database.write(adds_products=True) as transaction:
            if is_done(transaction, key, Change("initial", product.name, product.quantity, product.price_cents)):
                return False
            if fetch_all(transaction, _PRODUCT, {"name": product.name}):
                raise Invalid(f"there is or was a {product.name!r} already")
            if alike is not None:
                raise Invalid(f"{product.name!a} looks like {alike!a}, which is or was sold already")
            add(transaction, product, key)
            return True

    def _alike(self, name: str) -> str | None:
        """Returns another product's name that looks like this one, also of a retired product."""
        with self._database.read() as connection:
            names = [row[0] for row in fetch_all(connection, _NAMES, {})]
        form = visible_form(name)
        return next((other for other in names if other != name and visible_form(other) == form), None)

    def restock(self, name: str, quantity: int, key: str) -> bool:
        """Adds pieces. Raises ProductNotFound, and Invalid when the stock would exceed MAX_STOCK."""
        with self._database.write() as transaction:
            if is_done(transaction, key, Change("restock", name, quantity)):
                return False
            product = _product(transaction, name)
            if product.quantity + quantity > MAX_STOCK:
                raise Invalid(f"the stock of {name!r} would be above {MAX_STOCK:,}")
            append_ledger_entry(transaction, product, quantity, "restock", key)
            return True

    def writeoff(self, name: str, quantity: int, note: str, key: str) -> bool:
        """Removes pieces that broke, were lost or never came.

        Raises ProductNotFound, and Invalid when the stock has fewer pieces.
        """
        with self._database.write() as transaction:
            if is_done(transaction, key, Change("writeoff", name, -quantity, note=note)):
                return False
            product = _product(transaction, name)
            if quantity > product.quantity:
                raise Invalid(f"the stock of {name!r} is {product.quantity:,} pieces, and not {quantity:,}")
            append_ledger_entry(transaction, product, -quantity, "writeoff", key, note)
            return True

    def correct(self, name: str, counted: int, note: str, key: str) -> bool:
        """Sets the stock to what was `counted`, whatever it and the ledger said before. Raises ProductNotFound.

        Works for a retired product too, whose pieces stay in the books.
        """
        with self._database.write() as transaction:
            if is_done(transaction, key, Change("correction", name, counted, note=note)):
                return False
            rows = fetch_all(transaction, _PRICE_AND_BALANCE, {"name": name})
            if not rows:
                raise ProductNotFound(f"there is no {name!r}")
            before = Product(name, *rows[0])
            append_ledger_entry(transaction, before, counted - before.quantity, "correction", key, note)
            return True

    def price(self, name: str, price_cents: int, key: str) -> bool:
        """Changes the price for buys from now on. Raises ProductNotFound."""
        with self._database.write() as transaction:
            if is_done(transaction, key, Change("price", name, price_cents=price_cents)):
                return False
            _product(transaction, name)
            fetch_all(
                transaction, _INSERT_HISTORY, {"name": name, "what": "price", "price_cents": price_cents, "key": key}
            )
            return True

    def retire(self, name: str, key: str) -> bool:
        """Retires the product: queries and new buys no longer find it; its orders stay. Raises ProductNotFound."""
        with self._database.write() as transaction:
            if is_done(transaction, key, Change("retired", name)):
                return False
            price_cents = _product(transaction, name).price_cents
            fetch_all(
                transaction, _INSERT_HISTORY, {"name": name, "what": "retired", "price_cents": price_cents, "key": key}
            )
            return True

    def close(self) -> None:
        """Closes this thread's connection."""
        self._database.close()


_INSERT_HISTORY = """
    INSERT INTO product_history (product, what, price_cents, key) VALUES (:name, :what, :price_cents, :key)"""
_PRICE_AND_BALANCE = """
    SELECT price_cents,
        coalesce((SELECT balance FROM stock_ledger WHERE product = name ORDER BY entry DESC LIMIT 1), 0)
    FROM products WHERE name = :name"""
_NAMES = "SELECT name FROM products"
_PRODUCT = "SELECT price_cents, quantity, retired FROM products WHERE name = :name"


def _product(transaction: apsw.Connection, name: str) -> Product:
    """Returns the product. Raises ProductNotFound when it does not exist or was retired."""
    rows = fetch_all(transaction, _PRODUCT, {"name": name})
    if not rows:
        raise ProductNotFound(f"there is no {name!r}")
    price_cents, quantity, retired = rows[0]
    if retired:
        raise ProductNotFound(f"{name!r} was retired")
    return Product(name, price_cents, quantity)


class Change(NamedTuple):
    """A change as its command gives it. An argument that the command does not have is None."""

    what: str  # a reason in `stock_ledger`, a `what` in `product_history`, or "accepted"
    subject: str  # the product, or the fingerprint of an accepted discrepancy
    quantity: int | None = None  # the signed change of the stock; for a correction the number of counted pieces
    price_cents: int | None = None
    note: str | None = None


# The rows written under a key, in the columns of Change.
_CHANGES_UNDER_KEY = """
    SELECT reason, product, CASE reason WHEN 'correction' THEN balance ELSE delta END,
        CASE reason WHEN 'initial' THEN price_cents END, note
    FROM stock_ledger WHERE key = :key
    UNION ALL
    SELECT what, product, NULL, CASE what WHEN 'price' THEN price_cents END, NULL
    FROM product_history WHERE key = :key
    UNION ALL
    SELECT reason, product, quantity, NULL, NULL FROM refused WHERE key = :key
    UNION ALL
    SELECT 'accepted', fingerprint, NULL, NULL, note FROM accepted_discrepancies WHERE key = :key"""


def is_done(transaction: apsw.Connection, key: str, change: Change) -> bool:
    """Whether this change was made under the key. Raises KeyReused when the key stands for another change or a buy."""
    rows = fetch_all(transaction, _CHANGES_UNDER_KEY, {"key": key})
    # A key of `product_history` may also have a row of the ledger: a shopper may buy under the key of a new price.
    if rows and change not in rows:
        what, subject, *_ = rows[0]
        raise KeyReused(f"the key {key!r} stands for something else already ({what}: {subject!r})")
    return bool(rows)
