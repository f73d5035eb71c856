"""The three interfaces of the store: the catalog, the order tier, and the order log.

A store on SQLite and the client of a tier over HTTP implement the same interface. tests/contracts has the tests that
each implementation passes. Every method may raise Unavailable, which says nothing about a buy. The clients over HTTP
keep to `timeout_s`; in a store SQLite's busy timeout applies instead.
"""

from collections.abc import Sequence
from typing import Protocol

from domain.errors import KeyReused, ProductNotFound, Refused, Unavailable
from domain.pairing import Introduction, LogMark
from domain.returns import ReturnCatalog
from domain.values import Buy, KnownBuy, Order, Product, Sold

# The answer to a look-up of one name.
Found = Product | ProductNotFound | Unavailable
# The definite outcome of a buy at the catalog. A lost answer is Unavailable, which is no Sale.
Sale = Sold | Refused | KeyReused
# How a buy ended: the number of its order, or its error. Unavailable, with its subclass TooManyRefusals, is not an end.
Placed = int | Refused | KeyReused | Unavailable


class Catalog(ReturnCatalog, Protocol):
    """The catalog: products and their stock."""

    def lookup(self, names: Sequence[str], timeout_s: float | None = None) -> Sequence[Found]:
        """Returns the product of each name, in their order, or the error in its place."""

    def products(self, *, q: str, after: str, limit: int) -> bytes:
        """Returns at most `limit` products by name, after the name `after`, with `q` in the name in any case.

        The result is the JSON object that shoppers see, in UTF-8: decoding and encoding a page of a thousand products
        takes longer than many buys. Its `next` is the `after` of the next page; null on the last page.
        """

    def sell(
        self, buys: Sequence[Buy], timeout_s: float | None = None, *, log: LogMark | None = None
    ) -> Sequence[Sale | Unavailable]:
        """Takes each buy from the stock, once for its key. Returns the outcome of each, in their order.

        Raises AnotherStore, and sells nothing, when the order log `log` belongs to another store.
        """

    def decrement(self, buy: Buy, timeout_s: float | None = None) -> None:
        """Takes the pieces from the stock without an order, once for the key. Raises Refused, KeyReused."""

    def introduce(self, last_order: str | None, timeout_s: float | None = None) -> Introduction:
        """Returns which store this is, for an order log whose newest order has the key `last_order`."""


class Orders(Protocol):
    """The order tier: it takes buys and shows orders."""

    def place_all(self, buys: Sequence[Buy], timeout_s: float | None = None) -> Sequence[Placed]:
        """Buys, exactly once for each key. Returns how each buy ended, in their order."""

    def order(self, number: int, key: str | None = None) -> Order:
        """Returns the order of this number and, if one is given, of this key. Raises OrderNotFound."""

    def find(self, keys: Sequence[str], timeout_s: float | None = None) -> Sequence[KnownBuy | None]:
        """Returns the buy of each key, in their order; None for a key that the order log does not know."""


class OrderLog(Protocol):
    """The append-only log of ended buys, and the intents of buys in doubt. Each method is one transaction."""

    def begin(self, buys: Sequence[Buy]) -> Sequence[Placed | None]:
        """Writes the intent of each buy. Returns None for it, or how the buy has ended if the log knows its key."""

    def finish(self, sales: Sequence[tuple[Buy, Sale]]) -> Sequence[Placed]:
        """Logs how each buy ended, once for its key, and deletes its intent. Returns what the log says of each."""

    def known(self, keys: Sequence[str]) -> set[str]:
        """Returns those of the keys that are in the log or in doubt."""

    def in_doubt(self, keys: Sequence[str]) -> set[str]:
        """Returns those of the keys that are in doubt."""

    def intents(self, limit: int, skip: int = 0) -> list[Buy]:
        """Returns the oldest `limit` buys in doubt behind the first `skip`."""

    def order(self, number: int, key: str | None = None) -> Order:
        """Returns the order of this number and, if one is given, of this key. Raises OrderNotFound."""

    def find(self, keys: Sequence[str]) -> Sequence[KnownBuy | None]:
        """Returns the buy of each key, in their order; None for a key that the order log does not know."""
