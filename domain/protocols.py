"""What each side of the store can be asked. A store on SQLite and a tier over HTTP answer alike."""

from collections.abc import Sequence
from typing import Protocol

from domain.errors import KeyReused, ProductNotFound, Refused
from domain.values import Buy, Order, Product, ProductPage, Sold

# How a buy ended at the catalog, and how it ended in the order log. None of them is ever a maybe:
# a maybe is Unavailable, which is raised.
Sale = Sold | Refused | KeyReused
Receipt = Order | Refused | KeyReused
# How a buy ended, as the front end hears of it: the order's number, or a no.
Placed = int | Refused | KeyReused
# What a transaction of the order log does for one buy: with None it begins, with its sale it is finished.
Step = tuple[Buy, Sale | None]


class Catalog(Protocol):
    """What shoppers ask of the catalog. Every method may raise Unavailable."""

    def product(self, name: str) -> Product:
        """Raises ProductNotFound."""

    def products(self, *, q: str, after: str, limit: int) -> ProductPage:
        """At most `limit` products by name, after the name `after`, with `q` in the name (case does not matter)."""


class Sales(Protocol):
    """What the checkout asks of the catalog."""

    def sell(self, buys: Sequence[Buy]) -> Sequence[Sale]:
        """Take each buy from the stock, once for its key; one answer for each buy, in their order.

        Raises Unavailable, which says nothing about any of them.
        """


class CatalogTier(Catalog, Protocol):
    """A catalog that serves many shoppers in a call, and is Unavailable when it has no answer in `within_s`."""

    def lookup(self, names: Sequence[str], *, within_s: float) -> Sequence[Product | ProductNotFound]:
        """`product` for each name, in their order; a no stands in its place."""

    def sell(self, buys: Sequence[Buy], *, within_s: float) -> Sequence[Sale]:
        """As in Sales."""


class Orders(Protocol):
    """What shoppers ask of the order tier. Every method may raise Unavailable."""

    def place(self, buy: Buy) -> int:
        """Buy, exactly once for the key; the order's number. Raises Refused or KeyReused."""

    def order(self, number: int) -> Order:
        """Raises OrderNotFound."""


class OrderTier(Orders, Protocol):
    """An order tier that serves many shoppers in a call, and is Unavailable when it has no answer in `within_s`."""

    def place_all(self, buys: Sequence[Buy], *, within_s: float) -> Sequence[Placed]:
        """`place` for each buy, in their order; a no stands in its place."""


class OrderLog(Protocol):
    """The append-only log and the buys still in doubt. Every method may raise Unavailable."""

    def write(self, steps: Sequence[Step]) -> Sequence[Receipt | None]:
        """One transaction for all steps; the receipt of each.

        A buy that begins has a receipt when it is already in the log; otherwise None, and its intent is on disk.
        A buy that is finished is written down, once for its key, and its intent is dropped.
        """

    def intents(self, limit: int) -> list[Buy]:
        """The oldest buys in doubt."""

    def order(self, number: int) -> Order:
        """Raises OrderNotFound."""
