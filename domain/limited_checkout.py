"""A checkout with a limit to how many buys are refused, see domain/refusal_limit.py.

While the limit has room, all buys go on. Without room it looks at the stock first: a new buy that could only be refused
is throttled, and nothing of it is written. All others go on: those that the stock suffices for, and every key that the
order log knows. No buyer loses an answer by this, and no key gets two: a throttled key has none yet.
"""

import threading
from collections.abc import Iterator, Sequence

from domain.checkout import Checkout
from domain.deadlines import Deadline
from domain.errors import TooManyRefusals, Unavailable
from domain.protocols import Catalog, OrderLog, Placed
from domain.refusal_limit import RefusalLimit
from domain.values import Buy, Order, Product


class LimitedCheckout:
    """Stands before a Checkout, which tells the limit how buys ended, and throttles buys beyond the limit.

    Several may share one limit.
    """

    def __init__(self, log: OrderLog, catalog: Catalog, limit: RefusalLimit) -> None:
        self._log = log
        self._catalog = catalog
        self._limit = limit
        # The limit hears of a sale once it is logged: a log that could not be written is written again.
        self._checkout = Checkout(log, catalog, on_finished=limit.finish)
        self._beginning = threading.Lock()
        self._under_way: dict[str, Buy] = {}  # by their keys

    def place_all(self, buys: Sequence[Buy], timeout_s: float | None = None) -> list[Placed]:
        """Places buys, see Checkout.place_all. TooManyRefusals stands in the place of a throttled buy."""
        deadline = Deadline(timeout_s)
        try:
            return self._checkout.complete(buys, self._begin(buys, deadline), deadline)
        finally:
            for buy in buys:
                self._under_way.pop(buy.key, None)

    def order(self, number: int, key: str | None = None) -> Order:
        """Returns the order of this number, see Checkout.order."""
        return self._checkout.order(number, key)

    def intents(self, limit: int, skip: int = 0) -> list[Buy]:
        """Returns the oldest buys in doubt, see Checkout.intents."""
        return self._checkout.intents(limit, skip)

    def settle(self, buys: Sequence[Buy]) -> None:
        """Settles buys in doubt, see Checkout.settle."""
        self._checkout.settle(buys)

    def release_ended(self) -> None:
        """Frees the tokens of buys that ended elsewhere, such as in another worker, which paid for them."""
        held = self._limit.held()
        if held:
            in_doubt = self._log.in_doubt(held)
            self._limit.release(key for key in held if key not in in_doubt)

    def _begin(self, buys: Sequence[Buy], deadline: Deadline) -> list[Placed | None]:
        """Begins the buys within the limit, see Checkout.begin. TooManyRefusals stands in the place of each other."""
        timeout_s = deadline.remaining_s()
        # One batch at a time: another must not take the same room, or the same pieces, before these are held.
        if not self._beginning.acquire(timeout=-1 if timeout_s is None else timeout_s):
            raise Unavailable(retry_after_s=1)
        try:
            room = self._limit.room()
            throttled = self._beyond(room, buys, deadline.remaining_s()) if len(buys) > room else []
            deadline.remaining_s()  # raises: a buy that has no time left for its sale does not begin
            admitted = [buy for buy in buys if buy not in throttled]
            outcomes = self._checkout.begin(admitted) if admitted else []
            begun = [buy for buy, outcome in zip(admitted, outcomes, strict=True) if outcome is None]
            self._limit.hold(buy.key for buy in begun)
            self._under_way.update((buy.key, buy) for buy in begun)
        finally:
            self._beginning.release()
        if not throttled:
            return outcomes
        waits_s = self._limit.throttle([buy.key for buy in throttled])
        outcome_of = dict(zip(admitted, outcomes, strict=True))
        outcome_of |= {buy: TooManyRefusals(retry_after_s=s) for buy, s in zip(throttled, waits_s, strict=True)}
        return [outcome_of[buy] for buy in buys]

    def _beyond(self, room: int, buys: Sequence[Buy], timeout_s: float | None) -> list[Buy]:
        """Returns the buys that would be refused, but for the first `room` of them."""
        known = self._log.known([buy.key for buy in buys])
        new = list(dict.fromkeys(buy for buy in buys if buy.key not in known))
        return list(self._would_be_refused(new, timeout_s))[room:]

    def _would_be_refused(self, buys: Sequence[Buy], timeout_s: float | None) -> Iterator[Buy]:
        """Yields the buys that the stock does not suffice for, when all are sold in turn, or whose stock is unknown."""
        names = list(dict.fromkeys(buy.product for buy in buys))
        found = self._catalog.lookup(names, timeout_s) if names else []
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
