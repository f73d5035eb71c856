"""The catalog: products, their stock, and the ledger of every change."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import apsw

from db.connection import Database, run
from db.migrate import migrate
from domain.errors import REFUSALS, KeyReused, OutOfStock, ProductNotFound, Refused
from domain.protocols import Sale
from domain.values import Buy, Product, ProductPage, Sold

APPLICATION_ID = 0x746F7963  # "toyc", see PRAGMA application_id
MIGRATIONS = Path(__file__).parents[1] / "migrations" / "catalog"

# Why a piece left the stock: a buy by way of the order tier, or a direct decrement at the catalog.
Reason = Literal["sold", "decrement"]

_PRODUCT = "SELECT name, price_cents, quantity FROM products WHERE name = :name AND NOT retired"
_ANY = "SELECT 1 FROM products LIMIT 1"
_PRODUCTS = """
    SELECT name, price_cents, quantity FROM products
    WHERE name > :after AND NOT retired AND instr(casefold(name), casefold(:q)) ORDER BY name LIMIT :limit"""


class CatalogStore:
    """The catalog in one SQLite file. Each public method is one transaction; any thread may call it."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path)

    def migrate(self) -> None:
        """Bring the file to the newest schema. Raises StartRefused."""
        migrate(self._database.path, MIGRATIONS, APPLICATION_ID)

    def product(self, name: str) -> Product:
        """Raises ProductNotFound."""
        with self._database.read() as connection:
            found = _lookup(connection, name)
        if isinstance(found, ProductNotFound):
            raise found
        return found

    def lookup(self, names: Sequence[str], within_s: float | None = None) -> list[Product | ProductNotFound]:
        """The product of each name, in their order."""
        with self._database.read() as connection:
            return [_lookup(connection, name) for name in names]

    def products(self, *, q: str = "", after: str = "", limit: int) -> ProductPage:
        """At most `limit` products by name, after the name `after`, with `q` in the name (case does not matter)."""
        with self._database.read() as connection:
            rows = run(connection, _PRODUCTS, {"q": q, "after": after, "limit": limit + 1})
        page = tuple(Product(*row) for row in rows[:limit])
        return ProductPage(page, after=page[-1].name if len(rows) > limit else None)

    def sell(self, buys: Sequence[Buy], within_s: float | None = None, *, reason: Reason = "sold") -> list[Sale]:
        """Take each buy from the stock, once for its key; one answer for each, in their order."""
        with self._database.write() as transaction:
            return [_sell(transaction, buy, reason) for buy in buys]

    def is_empty(self) -> bool:
        """Whether there is no product yet."""
        with self._database.read() as connection:
            return not run(connection, _ANY, {})

    def load(self, products: Iterable[Product]) -> bool:
        """Make these the first products, all or none; False, and nothing done, when there are some already."""
        with self._database.write() as transaction:
            if run(transaction, _ANY, {}):
                return False
            for product in products:
                add(transaction, product)
            return True

    def require_writable(self) -> None:
        """Raises Unavailable when the disk takes no writes."""
        self._database.require_writable()

    def close(self) -> None:
        """Close this thread's connection."""
        self._database.close()


def _lookup(connection: apsw.Connection, name: str) -> Product | ProductNotFound:
    rows = run(connection, _PRODUCT, {"name": name})
    return Product(*rows[0]) if rows else ProductNotFound()


_HOW_IT_ENDED = """
    SELECT product, -delta, reason, price_cents, NULL FROM stock_ledger WHERE key = :key
    UNION ALL SELECT product, quantity, :reason, NULL, reason FROM refused WHERE key = :key"""
_TAKE = """
    UPDATE products SET quantity = quantity - :quantity
    WHERE name = :product AND quantity >= :quantity AND NOT retired
    RETURNING price_cents, quantity"""


def _sell(transaction: apsw.Connection, buy: Buy, reason: Reason) -> Sale:
    # The look-up of the key and the decrement share one transaction: in two, both of two equal buys could pass.
    rows = run(transaction, _HOW_IT_ENDED, {"key": buy.key, "reason": reason})
    if rows:
        product, quantity, taken_as, price_cents, refusal = rows[0]
        if (product, quantity, taken_as) != (buy.product, buy.quantity, reason):
            return KeyReused()
        return REFUSALS[refusal]() if refusal else Sold(price_cents)
    taken = run(transaction, _TAKE, {"product": buy.product, "quantity": buy.quantity})
    if not taken:
        return _refuse(transaction, buy)
    price_cents, balance = taken[0]
    enter(transaction, Product(buy.product, price_cents, balance), -buy.quantity, reason, buy.key)
    return Sold(price_cents)


_REFUSE = "INSERT INTO refused (key, product, quantity, reason) VALUES (:key, :product, :quantity, :reason)"


def _refuse(transaction: apsw.Connection, buy: Buy) -> Refused:
    known = run(transaction, _PRODUCT, {"name": buy.product})
    refusal = OutOfStock() if known else ProductNotFound()
    row = {"key": buy.key, "product": buy.product, "quantity": buy.quantity, "reason": refusal.message}
    run(transaction, _REFUSE, row)
    return refusal


_ADD = "INSERT INTO products (name, price_cents, quantity) VALUES (:name, :price_cents, :quantity)"
_ADDED = "INSERT INTO product_history (product, what, price_cents) VALUES (:name, 'added', :price_cents)"


def add(transaction: apsw.Connection, product: Product, key: str | None = None) -> None:
    """A new product, with its first entries in the ledger and in the history. The owner's key stands in the ledger."""
    row = {"name": product.name, "price_cents": product.price_cents}
    run(transaction, _ADD, row | {"quantity": product.quantity})
    run(transaction, _ADDED, row)
    enter(transaction, product, product.quantity, "initial", key)


_ENTER = """
    INSERT INTO stock_ledger (product, delta, balance, reason, key, price_cents)
    VALUES (:product, :delta, :balance, :reason, :key, :price_cents)"""


def enter(transaction: apsw.Connection, product: Product, delta: int, reason: str, key: str | None) -> None:
    """A change of the stock, which has led to this `product`."""
    entry = {"product": product.name, "balance": product.quantity, "price_cents": product.price_cents}
    run(transaction, _ENTER, entry | {"delta": delta, "reason": reason, "key": key})
