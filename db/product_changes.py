"""The owner's changes to the catalog, on every engine: add, restock, write off, correct, reprice and retire a product.

Each change appends a row to `stock_ledger` or to `product_history`. The triggers of the two tables update `products`,
and other triggers refuse any direct change of it.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from db.sales import ledger_entry
from db.statements import FetchAll
from domain.errors import Invalid, KeyReused, ProductNotFound
from domain.names import visible_form
from domain.values import MAX_STOCK, Product, fold


class Change(NamedTuple):
    """A change as its command gives it. An argument that the command does not have is None."""

    what: str  # a reason in `stock_ledger`, a `what` in `product_history`, or "accepted"
    subject: str  # the product, or the fingerprint of an accepted discrepancy
    quantity: int | None = None  # the signed change of the stock; for a correction the number of counted pieces
    price_cents: int | None = None
    note: str | None = None


class ProductChanges(ABC):
    """Changes the catalog for the owner. Each method is one transaction, and may run beside a selling store.

    Each change has an idempotency key. A method returns True when it made the change, and False when the same change
    was made under this key before. Each raises KeyReused when the key stands for another change or a buy, and
    Unavailable.
    """

    @abstractmethod
    def _transact(
        self, work: Callable[[FetchAll], bool], *, product: str, key: str, adds_products: bool = False
    ) -> bool:
        """Runs `work` in one transaction, in which nobody else changes the product or writes under the key.

        With `adds_products` nobody else adds products either. Returns what `work` returns; its errors roll back.
        """

    @abstractmethod
    def _fetch_all(self, sql: str, values: Mapping[str, Any]) -> list[Any]:
        """Runs one statement that only reads."""

    def add(self, product: Product, key: str) -> bool:
        """Adds a product. Raises Invalid when its name, or one that looks the same, is or was in use.

        A name means one product for ever.
        """
        alike = self._alike(product.name)  # before the transaction, during which buys wait

        def make(fetch_all: FetchAll) -> None:
            if fetch_all(_PRODUCT, {"name": product.name}):
                raise Invalid(f"there is or was a {product.name!r} already")
            if alike is not None:
                raise Invalid(f"{product.name!a} looks like {alike!a}, which is or was sold already")
            add(fetch_all, product, key)

        change = Change("initial", product.name, product.quantity, product.price_cents)
        return self._make_once(key, change, make, adds_products=True)

    def _alike(self, name: str) -> str | None:
        """Returns another product's name that looks like this one, also of a retired product."""
        form = visible_form(name)
        names = (other for (other,) in self._fetch_all(_NAMES, {}))
        return next((other for other in names if other != name and visible_form(other) == form), None)

    def restock(self, name: str, quantity: int, key: str) -> bool:
        """Adds pieces. Raises ProductNotFound, and Invalid when the stock would exceed MAX_STOCK."""

        def make(fetch_all: FetchAll) -> None:
            product = _product(fetch_all, name)
            if product.quantity + quantity > MAX_STOCK:
                raise Invalid(f"the stock of {name!r} would be above {MAX_STOCK:,}")
            fetch_all(_INSERT_ENTRY, ledger_entry(product, quantity, "restock", key))

        return self._make_once(key, Change("restock", name, quantity), make)

    def writeoff(self, name: str, quantity: int, note: str, key: str) -> bool:
        """Removes pieces that broke, were lost or never came.

        Raises ProductNotFound, and Invalid when the stock has fewer pieces.
        """

        def make(fetch_all: FetchAll) -> None:
            product = _product(fetch_all, name)
            if quantity > product.quantity:
                raise Invalid(f"the stock of {name!r} is {product.quantity:,} pieces, and not {quantity:,}")
            fetch_all(_INSERT_ENTRY, ledger_entry(product, -quantity, "writeoff", key, note))

        return self._make_once(key, Change("writeoff", name, -quantity, note=note), make)

    def correct(self, name: str, counted: int, note: str, key: str) -> bool:
        """Sets the stock to what was `counted`, whatever it and the ledger said before. Raises ProductNotFound.

        Works for a retired product too, whose pieces stay in the books.
        """

        def make(fetch_all: FetchAll) -> None:
            rows = fetch_all(_PRICE_AND_BALANCE, {"name": name})
            if not rows:
                raise ProductNotFound(f"there is no {name!r}")
            before = Product(name, *rows[0])
            fetch_all(_INSERT_ENTRY, ledger_entry(before, counted - before.quantity, "correction", key, note))

        return self._make_once(key, Change("correction", name, counted, note=note), make)

    def price(self, name: str, price_cents: int, key: str) -> bool:
        """Changes the price for buys from now on. Raises ProductNotFound."""

        def make(fetch_all: FetchAll) -> None:
            _product(fetch_all, name)
            fetch_all(_INSERT_HISTORY, {"name": name, "what": "price", "price_cents": price_cents, "key": key})

        return self._make_once(key, Change("price", name, price_cents=price_cents), make)

    def retire(self, name: str, key: str) -> bool:
        """Retires the product: queries and new buys no longer find it; its orders stay. Raises ProductNotFound."""

        def make(fetch_all: FetchAll) -> None:
            price_cents = _product(fetch_all, name).price_cents
            fetch_all(_INSERT_HISTORY, {"name": name, "what": "retired", "price_cents": price_cents, "key": key})

        return self._make_once(key, Change("retired", name), make)

    def _make_once(
        self, key: str, change: Change, make: Callable[[FetchAll], None], *, adds_products: bool = False
    ) -> bool:
        """Makes the change unless it was made under its key."""

        def work(fetch_all: FetchAll) -> bool:
            if is_done(fetch_all, key, change):
                return False
            make(fetch_all)
            return True

        return self._transact(work, product=change.subject, key=key, adds_products=adds_products)


def add(fetch_all: FetchAll, product: Product, key: str | None = None) -> None:
    """Adds a product by its first entry in the ledger. A trigger then creates it and its first entry in the history."""
    before = Product(product.name, product.price_cents, 0)
    fetch_all(_INSERT_ENTRY, ledger_entry(before, product.quantity, "initial", key))
    fetch_all(_FOLD, {"name": product.name, "folded": fold(product.name)})


# The ledger's trigger changes the stock.
_INSERT_ENTRY = """
    INSERT INTO stock_ledger (product, delta, balance, reason, key, price_cents, note)
    VALUES (:product, :delta, :balance, :reason, :key, :price_cents, :note)"""
_FOLD = "UPDATE products SET folded = :folded WHERE name = :name"
_INSERT_HISTORY = """
    INSERT INTO product_history (product, what, price_cents, key) VALUES (:name, :what, :price_cents, :key)"""
_PRICE_AND_BALANCE = """
    SELECT price_cents,
        coalesce((SELECT balance FROM stock_ledger WHERE product = name ORDER BY entry DESC LIMIT 1), 0)
    FROM products WHERE name = :name"""
_NAMES = "SELECT name FROM products"
_PRODUCT = "SELECT price_cents, quantity, retired FROM products WHERE name = :name"


def _product(fetch_all: FetchAll, name: str) -> Product:
    """Returns the product. Raises ProductNotFound when it does not exist or was retired."""
    rows = fetch_all(_PRODUCT, {"name": name})
    if not rows:
        raise ProductNotFound(f"there is no {name!r}")
    price_cents, quantity, retired = rows[0]
    if retired:
        raise ProductNotFound(f"{name!r} was retired")
    return Product(name, price_cents, quantity)


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


def is_done(fetch_all: FetchAll, key: str, change: Change) -> bool:
    """Whether this change was made under the key. Raises KeyReused when the key stands for another change or a buy."""
    rows = fetch_all(_CHANGES_UNDER_KEY, {"key": key})
    # A key of `product_history` may also have a row of the ledger: a shopper may buy under the key of a new price.
    if rows and change not in rows:
        what, subject, *_ = rows[0]
        raise KeyReused(f"the key {key!r} stands for something else already ({what}: {subject!r})")
    return bool(rows)
