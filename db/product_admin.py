"""The owner's changes to the catalog: new products, more pieces and fewer, other prices, and products that go.

Each is an entry of the ledger or of the product history. Their triggers bring the product along, and refuse whoever
changes a product by hand.
"""

from pathlib import Path

import apsw

from db.catalog import add, append_ledger_entry
from db.connection import fetch_all
from db.database import Database
from domain.errors import Invalid, KeyReused, ProductNotFound
from domain.names import looks
from domain.values import MAX_STOCK, Product


class ProductAdmin:
    """The owner's side of the catalog's file. Each method is one transaction, beside the buys of a running store.

    Each change has a key and happens once for it: the method is True when it has made the change, and False when the
    key had made this same change before. All raise KeyReused when the key stands for anything else, and Unavailable.
    """

    def __init__(self, path: Path) -> None:
        self._database = Database(path)

    def add(self, product: Product, key: str) -> bool:
        """A new product. Raises Invalid when there is one of its name, or was: a name means one product for ever.

        So is a name that people cannot tell from another one.
        """
        alike = self._alike(product.name)  # before the transaction, in which buys would wait for it
        with self._database.write(adds_products=True) as transaction:
            if is_done(transaction, key, ("initial", product.name, product.quantity, product.price_cents, None)):
                return False
            if fetch_all(transaction, _KNOWN, {"name": product.name}):
                raise Invalid(f"there is or was a {product.name!r} already")
            if alike is not None:
                raise Invalid(f"{product.name!a} looks like {alike!a}, which is or was sold already")
            add(transaction, product, key)
            return True

    def _alike(self, name: str) -> str | None:
        """Another name that looks like this one, retired or not."""
        with self._database.read() as connection:
            names = [row[0] for row in fetch_all(connection, _NAMES, {})]
        look = looks(name)
        return next((other for other in names if other != name and looks(other) == look), None)

    def restock(self, name: str, quantity: int, key: str) -> bool:
        """More pieces. Raises ProductNotFound, and Invalid when the stock would be more than MAX_STOCK."""
        with self._database.write() as transaction:
            if is_done(transaction, key, ("restock", name, quantity, None, None)):
                return False
            product = _product(transaction, name)
            if product.quantity + quantity > MAX_STOCK:
                raise Invalid(f"the stock of {name!r} would be above {MAX_STOCK:,}")
            append_ledger_entry(transaction, product, quantity, "restock", key)
            return True

    def writeoff(self, name: str, quantity: int, note: str, key: str) -> bool:
        """Fewer pieces, which broke, were lost or never came. Raises ProductNotFound, and Invalid for more than all."""
        with self._database.write() as transaction:
            if is_done(transaction, key, ("writeoff", name, -quantity, None, note)):
                return False
            product = _product(transaction, name)
            if quantity > product.quantity:
                raise Invalid(f"the stock of {name!r} is {product.quantity:,} pieces, and not {quantity:,}")
            append_ledger_entry(transaction, product, -quantity, "writeoff", key, note)
            return True

    def correct(self, name: str, counted: int, note: str, key: str) -> bool:
        """The stock is what was `counted`, whatever it and the ledger said. Raises ProductNotFound.

        Of a retired product too: its pieces stay in the books.
        """
        with self._database.write() as transaction:
            if is_done(transaction, key, ("correction", name, counted, None, note)):
                return False
            rows = fetch_all(transaction, _BY_ITS_LEDGER, {"name": name})
            if not rows:
                raise ProductNotFound(f"there is no {name!r}")
            before = Product(name, *rows[0])
            append_ledger_entry(transaction, before, counted - before.quantity, "correction", key, note)
            return True

    def price(self, name: str, price_cents: int, key: str) -> bool:
        """Another price, for the buys from now on. Raises ProductNotFound."""
        with self._database.write() as transaction:
            if is_done(transaction, key, ("price", name, None, price_cents, None)):
                return False
            _product(transaction, name)
            fetch_all(transaction, _CHANGE, {"name": name, "what": "price", "price_cents": price_cents, "key": key})
            return True

    def retire(self, name: str, key: str) -> bool:
        """The product is not found any more. What was bought of it stays. Raises ProductNotFound."""
        with self._database.write() as transaction:
            if is_done(transaction, key, ("retired", name, None, None, None)):
                return False
            price_cents = _product(transaction, name).price_cents
            fetch_all(transaction, _CHANGE, {"name": name, "what": "retired", "price_cents": price_cents, "key": key})
            return True

    def close(self) -> None:
        """Close this thread's connection."""
        self._database.close()


_CHANGE = """
    INSERT INTO product_history (product, what, price_cents, key) VALUES (:name, :what, :price_cents, :key)"""
_BY_ITS_LEDGER = """
    SELECT price_cents,
        coalesce((SELECT balance FROM stock_ledger WHERE product = name ORDER BY entry DESC LIMIT 1), 0)
    FROM products WHERE name = :name"""
_NAMES = "SELECT name FROM products"
_KNOWN = "SELECT price_cents, quantity, retired FROM products WHERE name = :name"


def _product(transaction: apsw.Connection, name: str) -> Product:
    rows = fetch_all(transaction, _KNOWN, {"name": name})
    if not rows:
        raise ProductNotFound(f"there is no {name!r}")
    price_cents, quantity, retired = rows[0]
    if retired:
        raise ProductNotFound(f"{name!r} was retired")
    return Product(name, price_cents, quantity)


# What a key has made, with what its command was told and nothing else: a restock was not told a price.
_MADE = """
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
Change = tuple[str, str, int | None, int | None, str | None]


def is_done(transaction: apsw.Connection, key: str, change: Change) -> bool:
    """Whether the key has made this change. Raises KeyReused when it stands for another one, or for a buy."""
    rows = fetch_all(transaction, _MADE, {"key": key})
    # A shopper who happens on the key of a new price may still buy under it: the change is done all the same.
    if rows and change not in rows:
        what, product, *_ = rows[0]
        raise KeyReused(f"the key {key!r} stands for something else already ({what}: {product!r})")
    return bool(rows)
