"""The questions that each side of the store answers. A store on SQLite and a tier over HTTP answer alike.

`timeout_s` is for the tiers over HTTP. A store is bounded by SQLite's busy timeout.
"""

from collections.abc import Sequence
from typing import Protocol

from domain.errors import KeyReused, ProductNotFound, Refused, Unavailable
from domain.values import Buy, Order, Product, Sold

# The answer to a look-up of one name.
Found = Product | ProductNotFound | Unavailable
# How a buy ended at the catalog, and how it ended in the order log. None of them is ever a maybe: a maybe is
# Unavailable, which is raised, or stands in the place of the one buy that it concerns.
Sale = Sold | Refused | KeyReused
Receipt = Order | Refused | KeyReused
# How a buy ended, as the front end hears of it: the order's number, or a no; or that it has no answer now, which
# TooManyRefusals is too.
Placed = int | Refused | KeyReused | Unavailable
# What a transaction of the order log does for one buy: with None it begins, with its sale it is finished.
Step = tuple[Buy, Sale | None]


class Catalog(Protocol):
    """The catalog, as shoppers ask it. Every method may raise Unavailable, `lookup` when `timeout_s` is over."""

    def lookup(self, names: Sequence[str], timeout_s: float | None = None) -> Sequence[Found]:
        """The product of each name, in their order; a no stands in its place, or that there is no answer now."""

    def products(self, *, q: str, after: str, limit: int) -> bytes:
        """At most `limit` products by name, after the name `after`, with `q` in the name (case does not matter).

        They come as the JSON object that shoppers see, in UTF-8: a page of a thousand takes longer to decode and to
        encode again than many buys. Its `next` is the `after` of the next page, null on the last.
        """


class Sales(Protocol):
    """The catalog, as the checkout asks it."""

    def sell(self, buys: Sequence[Buy], timeout_s: float | None = None) -> Sequence[Sale | Unavailable]:
        """Take each buy from the stock, once for its key; one answer for each buy, in their order.

        Raises Unavailable, which says nothing about any of them, also when `timeout_s` is over.
        """


class Orders(Protocol):
    """The order tier, as shoppers ask it. Every method may raise Unavailable, `place_all` when `timeout_s` is over."""

    def place_all(self, buys: Sequence[Buy], timeout_s: float | None = None) -> Sequence[Placed]:
        """Buy, exactly once for each key: the number of each order, in their order; a no stands in its place."""

    def order(self, number: int, key: str | None = None) -> Order:
        """The order of this number, and, if one is given, of this key. Raises OrderNotFound."""


class OrderLog(Protocol):
    """The append-only log and the buys still in doubt. Every method may raise Unavailable."""

    def write(self, steps: Sequence[Step]) -> Sequence[Receipt | None]:
        """One transaction for all steps; the receipt of each.

        A buy that begins has a receipt when it is already in the log; otherwise None, and its intent is on disk.
        A buy that is finished is written down, once for its key, and its intent is dropped.
        """

    def known(self, keys: Sequence[str]) -> set[str]:
        """Those of the keys that are in the log or in doubt."""

    def in_doubt(self, keys: Sequence[str]) -> set[str]:
        """Those of the keys that are in doubt."""

    def intents(self, limit: int, skip: int = 0) -> list[Buy]:
        """The oldest buys in doubt, behind the first `skip`."""

    def order(self, number: int, key: str | None = None) -> Order:
        """The order of this number, and, if one is given, of this key. Raises OrderNotFound."""
