"""A limit to how many buys may be refused in a time, for each refusal is written down twice and kept for ever.

Without it, whoever asks for a product that does not exist, under one random key after the other, fills the disk.

Whom a proxy stands before, all shoppers have one address; so the limit does not ask who it is. It counts refusals, and
while too many come it looks before it leaps: a new buy that the catalog could only refuse is put off, and nothing of
it is written. All others go on: those that the stock suffices for, and every key that the store has met before. So
no buyer loses an answer, and no key gets two: one that was put off has none yet.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from domain.checkout import Checkout
from domain.errors import ProductNotFound, Refused, TooManyRefusals, Unavailable
from domain.protocols import OrderLog, Placed, Receipt, Sales, Step
from domain.values import Buy, Product

# What a calm time saves up for a busy one: the shoppers who come too late for a product that has just sold out.
BURST_S = 600.0


class SalesAndStock(Sales, Protocol):
    """What a checkout with a limit asks of the catalog."""

    def lookup(self, names: Sequence[str], within_s: float | None = None) -> Sequence[Product | ProductNotFound]:
        """The product of each name, in their order; a no stands in its place. Raises Unavailable."""


class Allowance:
    """How many buys may still be refused: `per_s` more each second, and never more than those of BURST_S."""

    def __init__(self, per_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._clock = clock
        self._most = max(1.0, per_s * BURST_S)
        self._left = self._most
        self._at = clock()
        self._mutex = threading.Lock()

    def left(self) -> int:
        """How many may be refused now."""
        with self._mutex:
            now = self._clock()
            self._left = min(self._most, self._left + (now - self._at) * self._per_s)
            self._at = now
            return max(0, int(self._left))

    def take(self, refusals: int) -> None:
        """So many were."""
        with self._mutex:
            # A debt is paid back, but not for longer than what a calm time may save up.
            self._left = max(-self._most, self._left - refusals)


class LimitedCheckout(Checkout):
    """A checkout that refuses, and writes down, no more buys than the allowance has."""

    def __init__(self, log: OrderLog, catalog: SalesAndStock, allowance: Allowance) -> None:
        super().__init__(log, catalog)
        self._stock = catalog
        self._allowance = allowance

    def place_all(self, buys: Sequence[Buy], within_s: float | None = None) -> list[Placed]:
        """As Checkout's; TooManyRefusals stands in the place of a buy that was put off."""
        left = self._allowance.left()
        if len(buys) <= left:  # nothing to look up, were all of them refused
            return self._place(buys, within_s)
        begun = time.monotonic()
        put_off = self._beyond(left, buys, within_s)
        if within_s is not None:
            within_s -= time.monotonic() - begun
            if within_s <= 0:
                raise Unavailable
        placed = iter(self._place([buy for buy in buys if buy not in put_off], within_s))
        return [TooManyRefusals() if buy in put_off else next(placed) for buy in buys]

    def _place(self, buys: Sequence[Buy], within_s: float | None) -> list[Placed]:
        try:
            return super().place_all(buys, within_s)
        except Unavailable:
            # Their intents are on disk, and the recovery may have to refuse all of them.
            self._allowance.take(len(buys))
            raise

    def _beyond(self, left: int, buys: Sequence[Buy], within_s: float | None) -> set[Buy]:
        """Of the buys that would be refused, those behind the first `left`."""
        known = self._log.known([buy.key for buy in buys])
        new = list(dict.fromkeys(buy for buy in buys if buy.key not in known))
        return set(list(self._hopeless(new, within_s))[left:])

    def _hopeless(self, buys: Sequence[Buy], within_s: float | None) -> Iterator[Buy]:
        """Those that the stock does not suffice for, when all are served in turn."""
        names = list(dict.fromkeys(buy.product for buy in buys))
        found = self._stock.lookup(names, within_s) if names else []
        stock = dict.fromkeys(names, 0) | {
            product.name: product.quantity for product in found if isinstance(product, Product)
        }
        for buy in buys:
            if buy.quantity > stock[buy.product]:
                yield buy
            else:
                stock[buy.product] -= buy.quantity

    def _finish(self, sales: Sequence[Step]) -> Sequence[Receipt | None]:
        self._allowance.take(sum(isinstance(sale, Refused) for _, sale in sales))
        return super()._finish(sales)
