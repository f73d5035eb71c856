"""A checkout that limits how many buys are refused (domain/refusal_limit.py).

While the limit has tokens, all buys begin. Without tokens the checkout looks at the stock first. A new buy that would
be refused is throttled, and nothing of it is written. A buy begins if the stock suffices for it, or if the order log
knows its key. No buyer loses an answer by this, and no key gets two answers: a throttled key has none yet.
"""

import threading
from collections.abc import Iterator, Sequence

from domain.checkout import Checkout
from domain.deadlines import Deadline
from domain.errors import TooManyRefusals, Unavailable
from domain.protocols import Catalog, OrderLog, Placed
from domain.refusal_limit import RefusalLimit
from domain.values import Buy, KnownBuy, Order, Product


class LimitedCheckout:
    """A Checkout that throttles the buys beyond a limit. Several checkouts may share one limit."""

    def __init__(self, log: OrderLog, catalog: Catalog, limit: RefusalLimit) -> None:
        self._log = log
        self._catalog = catalog
        self._limit = limit
        # The limit counts a refusal once it is logged: a buy that could not be logged comes again.
        self._checkout = Checkout(log, catalog, on_finished=limit.finish)
        self._beginning = threading.Lock()
        self._under_way: dict[str, Buy] = {}  # buys that have begun and not ended, by their keys

    def place_all(self, buys: Sequence[Buy], timeout_s: float | None = None) -> list[Placed]:
        """Places buys, see Checkout.place_all. The result has TooManyRefusals for a throttled buy."""
        deadline = Deadline(timeout_s)
        try:
            return self._checkout.complete(buys, self._begin(buys, deadline), deadline)
        finally:
            for buy in buys:
                self._under_way.pop(buy.key, None)

    def order(self, number: int, key: str | None = None) -> Order:
        """Returns the order of this number, see Checkout.order."""
        return self._checkout.order(number, key)

    def find(self, keys: Sequence[str], timeout_s: float | None = None) -> Sequence[KnownBuy | None]:
        """Returns the buy of each key, see Checkout.find."""
        return self._checkout.find(keys, timeout_s)

    def intents(self, limit: int, skip: int = 0) -> list[Buy]:
        """Returns the oldest buys in doubt, see Checkout.intents."""
        return self._checkout.intents(limit, skip)

    def settle(self, buys: Sequence[Buy]) -> None:
        """Settles buys in doubt, see Checkout.settle."""
        self._checkout.settle(buys)

    def release_ended(self) -> None:
        """Frees the tokens of buys that ended elsewhere, such as in another worker, whose limit counts them."""
        held = self._limit.held()
        if held:
            in_doubt = self._log.in_doubt(held)
            self._limit.release(key for key in held if key not in in_doubt)

    def _begin(self, buys: Sequence[Buy], deadline: Deadline) -> list[Placed | None]:
        """Begins the buys within the limit, see Checkout.begin. The result has TooManyRefusals for each other buy."""
        timeout_s = deadline.remaining_s()
        # One batch at a time: two batches must not count on the same tokens, or on the same pieces in stock.
        if not self._beginning.acquire(timeout=-1 if timeout_s is None else timeout_s):
            raise Unavailable(retry_after_s=1)
        try:
            room = self._limit.room()
            throttled = self._to_throttle(buys, room, deadline.remaining_s()) if len(buys) > room else []
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

    def _to_throttle(self, buys: Sequence[Buy], room: int, timeout_s: float | None) -> list[Buy]:
        """Returns the new buys that would be refused, except for the first `room` of them."""
        known = self._log.known([buy.key for buy in buys])
        new = list(dict.fromkeys(buy for buy in buys if buy.key not in known))
        return list(self._would_be_refused(new, timeout_s))[room:]

    def _would_be_refused(self, buys: Sequence[Buy], timeout_s: float | None) -> Iterator[Buy]:
        """Yields the buys that exceed the stock when all are sold in turn. A stock that is unknown counts as 0."""
        names = list(dict.fromkeys(buy.product for buy in buys))
        found = self._catalog.lookup(names, timeout_s) if names else []
        stock = dict.fromkeys(names, 0) | {
            product.name: product.quantity for product in found if isinstance(product, Product)
        }
        for buy in [*self._under_way.values()]:  # each may have taken its pieces, or may take them yet
            if buy.quantity <= stock.get(buy.product, 0):
                stock[buy.product] -= buy.quantity
        for buy in buys:
            if buy.quantity > stock[buy.product]:
                yield buy
            else:
                stock[buy.product] -= buy.quantity
