"""A limit to how many buys may be refused in a time, for each refusal is written down twice and kept for ever.

Without it, whoever asks for a product that does not exist, under one random key after the other, fills the disk.

Behind a proxy all shoppers have one address, so the limit does not ask who it is. It counts refusals, and while too
many come it looks at the stock first: a new buy that the catalog could only refuse is put off, and nothing of it is
written. All others go on: those that the stock suffices for, and every key that the store has met before. So no buyer
loses an answer, and no key gets two: one that was put off has none yet.

A buy in doubt may still be refused, so its key counts until it ends, however often it is sent. After a restart nothing
is known of them: what the last run left in doubt counts when it is refused.
"""

import math
import random
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from domain.checkout import Checkout
from domain.deadlines import remaining_time
from domain.errors import Refused, TooManyRefusals, Unavailable
from domain.protocols import Found, OrderLog, Placed, Receipt, Sales, Step
from domain.values import Buy, Product

# What a calm time saves up for a busy one: the shoppers who come too late for a product that has just sold out.
BURST_S = 600.0
# The longest that a shopper is told to wait for room.
MAX_WAIT_S = 600.0
# Keys that are remembered of each kind, in doubt, put off and refused: three times a burst at the default rate, 6 MB.
MAX_KEYS = 20_000


class SalesAndStock(Sales, Protocol):
    """The catalog, as a checkout with a limit asks it."""

    def lookup(self, names: Sequence[str], timeout_s: float | None = None) -> Sequence[Found]:
        """The product of each name, in their order; a no stands in its place. Raises Unavailable."""


class Allowance:
    """The number of buys that may still be refused: `per_s` more each second, and never more than those of BURST_S.

    A buy that has begun may have to be refused, so it holds one back, once for its key, until it ends: then that one is
    spent if it was refused, and free again if it was sold. Whoever is put off is told when there is room: each gets a
    place of its own in a line that moves as the allowance grows.
    """

    def __init__(self, per_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._clock = clock
        self._most = max(1.0, per_s * BURST_S)
        self._left = self._most
        self._at = clock()
        self._held: OrderedDict[str, None] = OrderedDict()  # keys of buys that have begun
        self._line: OrderedDict[str, float] = OrderedDict()  # keys that were put off, and when there is room for each
        self._line_end = self._at
        self._paid: OrderedDict[str, None] = OrderedDict()  # keys that were refused, for two batches may end one
        self._mutex = threading.Lock()

    def left(self) -> int:
        """The number that may be refused now."""
        with self._mutex:
            return max(0, int(self._room(self._clock())))

    def hold(self, keys: Iterable[str]) -> None:
        """Hold one back for each of these keys that has none yet."""
        with self._mutex:
            for key in keys:
                self._held[key] = None
            while len(self._held) > MAX_KEYS:
                self._held.popitem(last=False)
                self._spend(1)  # what is forgotten cannot be given back

    def end(self, buys: Mapping[str, bool]) -> None:
        """These keys have ended, each with whether it was refused."""
        with self._mutex:
            for key, is_refused in buys.items():
                self._held.pop(key, None)
                if is_refused and key not in self._paid:
                    self._paid[key] = None
                    self._spend(1)
            while len(self._paid) > MAX_KEYS:
                self._paid.popitem(last=False)

    def held(self) -> list[str]:
        """The keys for which one is held back."""
        with self._mutex:
            return list(self._held)

    def put_off(self, keys: Sequence[str]) -> list[int]:
        """In how many seconds there is room for each of these keys, at least 1. Who asks again keeps the place."""
        with self._mutex:
            now = self._clock()
            room_at = now + max(0.0, 1.0 - self._room(now)) / self._per_s
            places = [self._place(key, now, room_at) for key in keys]
            while len(self._line) > MAX_KEYS:
                self._line.popitem(last=False)
            return [max(1, math.ceil(place - now)) for place in places]

    def _place(self, key: str, now: float, room_at: float) -> float:
        place = self._line.get(key, now)
        if place > now:
            return place
        place = max(room_at, self._line_end + 1.0 / self._per_s)
        if place > now + MAX_WAIT_S:
            # The line is too long to tell its end. Whoever comes now is spread, lest all come back at once.
            place = now + MAX_WAIT_S * random.uniform(0.5, 1.0)
        else:
            self._line_end = place
        self._line[key] = place
        self._line.move_to_end(key)
        return place

    def _room(self, now: float) -> float:
        self._left = min(self._most, self._left + (now - self._at) * self._per_s)
        self._at = now
        return self._left - len(self._held)

    def _spend(self, refusals: int) -> None:
        # A debt is paid back, but not for longer than what a calm time may save up.
        self._left = max(-self._most, self._left - refusals)


class LimitedCheckout(Checkout):
    """A checkout that refuses, and writes down, no more buys than the allowance has."""

    def __init__(self, log: OrderLog, catalog: SalesAndStock, allowance: Allowance) -> None:
        super().__init__(log, catalog)
        self._stock = catalog
        self._allowance = allowance
        self._beginning = threading.Lock()
        self._under_way: dict[str, Buy] = {}  # by their keys

    def place_all(self, buys: Sequence[Buy], timeout_s: float | None = None) -> list[Placed]:
        """As Checkout's; TooManyRefusals stands in the place of a buy that was put off."""
        try:
            return super().place_all(buys, timeout_s)
        finally:
            for buy in buys:
                self._under_way.pop(buy.key, None)

    def release_ended(self) -> None:
        """Give back what is held for buys that have ended elsewhere, such as in another worker, which paid for them."""
        held = self._allowance.held()
        if held:
            in_doubt = self._log.in_doubt(held)
            self._allowance.end({key: False for key in held if key not in in_doubt})

    def _begin(self, buys: Sequence[Buy], timeout_s: float | None) -> list[Receipt | Unavailable | None]:
        begins_at = time.monotonic()
        # Another batch must not take the same room, or the same pieces, between the look at them and the hold.
        if not self._beginning.acquire(timeout=-1 if timeout_s is None else timeout_s):
            raise Unavailable(retry_after_s=1)
        try:
            left = self._allowance.left()
            put_off = self._beyond(left, buys, remaining_time(timeout_s, begins_at)) if len(buys) > left else []
            remaining_time(timeout_s, begins_at)  # a buy that has no time left for its sale does not begin
            others = [buy for buy in buys if buy not in put_off]
            receipts = super()._begin(others, timeout_s) if others else []
            begun = [buy for buy, receipt in zip(others, receipts, strict=True) if receipt is None]
            self._allowance.hold(buy.key for buy in begun)
            self._under_way.update((buy.key, buy) for buy in begun)
        finally:
            self._beginning.release()
        if not put_off:
            return receipts
        answers = dict(zip(others, receipts, strict=True))
        waits = self._allowance.put_off([buy.key for buy in put_off])
        answers.update((buy, TooManyRefusals(retry_after_s=wait_s)) for buy, wait_s in zip(put_off, waits, strict=True))
        return [answers[buy] for buy in buys]

    def _beyond(self, left: int, buys: Sequence[Buy], timeout_s: float | None) -> list[Buy]:
        """Of the buys that would be refused, those behind the first `left`."""
        known = self._log.known([buy.key for buy in buys])
        new = list(dict.fromkeys(buy for buy in buys if buy.key not in known))
        return list(self._would_be_refused(new, timeout_s))[left:]

    def _would_be_refused(self, buys: Sequence[Buy], timeout_s: float | None) -> Iterator[Buy]:
        """Those that the stock does not suffice for, when all are served in turn; also where nobody can tell."""
        names = list(dict.fromkeys(buy.product for buy in buys))
        found = self._stock.lookup(names, timeout_s) if names else []
        stock = dict.fromkeys(names, 0) | {
            product.name: product.quantity for product in found if isinstance(product, Product)
        }
        for buy in [*self._under_way.values()]:  # they may take their pieces at any moment, or have taken them
            if buy.quantity <= stock.get(buy.product, 0):
                stock[buy.product] -= buy.quantity
        for buy in buys:
            if buy.quantity > stock[buy.product]:
                yield buy
            else:
                stock[buy.product] -= buy.quantity

    def _finish(self, sales: Sequence[Step]) -> Sequence[Receipt | None]:
        receipts = super()._finish(sales)
        # Only now: a write that failed is tried again, and must not be paid twice.
        self._allowance.end({buy.key: isinstance(sale, Refused) for buy, sale in sales})
        return receipts
