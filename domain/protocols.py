"""What each side of the store can be asked. A store on SQLite and a tier over HTTP answer alike."""

from collections.abc import Sequence
from typing import Protocol

from domain.errors import KeyReused, Refused
from domain.values import Buy, Order, Product, ProductPage, Sold

# How a buy ended at the catalog, and how it ended in the order log. None of them is ever a maybe:
# a maybe is Unavailable, which is raised.
Sale = Sold | Refused | KeyReused
Receipt = Order | Refused | KeyReused


class Catalog(Protocol):
    """Products and their stock. Every method may raise Unavailable."""

    def product(self, name: str) -> Product:
        """Raises ProductNotFound."""

    def products(self, *, q: str, after: str, limit: int) -> ProductPage:
        """At most `limit` products by name, after the name `after`, with `q` in the name (case does not matter)."""

    def sell(self, buys: Sequence[Buy]) -> list[Sale]:
        """Take each buy from the stock, once for its key; one answer for each buy, in their order."""


class Orders(Protocol):
    """What the front end asks of the order tier. Every method may raise Unavailable."""

    def place(self, buy: Buy) -> int:
        """Buy, exactly once for the key; the order's number. Raises Refused or KeyReused."""

    def order(self, number: int) -> Order:
        """Raises OrderNotFound."""


class OrderLog(Protocol):
    """The append-only log and the buys still in doubt. Every method may raise Unavailable."""

    def begin(self, buys: Sequence[Buy]) -> list[Receipt | None]:
        """The receipt of each buy that is already in the log; for the others, None, and their intent is on disk."""

    def finish(self, sales: Sequence[tuple[Buy, Sale]]) -> list[Receipt]:
        """Write down how each buy ended, once for its key, and drop its intent."""

    def intents(self, limit: int) -> list[Buy]:
        """The oldest buys in doubt."""

    def order(self, number: int) -> Order:
        """Raises OrderNotFound."""
