"""The same methods as the stores and the tiers behind, with the calls of many threads joined."""

from collections.abc import Sequence
from typing import TypeVar

from domain.checkout import MAX_BATCH
from domain.errors import ProductNotFound, StoreError
from domain.protocols import CatalogTier, OrderLog, OrderTier, Placed, Receipt, Sale, Step
from domain.values import Buy, Order, Product, ProductPage
from wsgi_apps.together import Together

T = TypeVar("T")

# So many of the longest names fit the 16 KiB that a tier accepts as a body.
MAX_NAMES = 60
# One transaction of the order log: some begin, others finish.
MAX_STEPS = 4 * MAX_BATCH


class JoinedCatalog:
    """A catalog whose reads share calls, and whose sales share calls. `timeout_s` is a caller's patience."""

    def __init__(self, catalog: CatalogTier, *, timeout_s: float, linger_s: float) -> None:
        self._catalog = catalog
        self._timeout_s = timeout_s
        self._lookups: Together[str, Product | ProductNotFound] = Together(
            lambda names, within_s: catalog.lookup(names, within_s=within_s), most=MAX_NAMES, linger_s=linger_s
        )
        self._sales: Together[Buy, Sale] = Together(
            lambda buys, within_s: catalog.sell(buys, within_s=within_s), most=MAX_BATCH, linger_s=linger_s
        )

    def product(self, name: str) -> Product:
        [found] = self._lookups.ask([name], timeout_s=self._timeout_s)
        return value_or_raise(found)

    def lookup(self, names: Sequence[str]) -> Sequence[Product | ProductNotFound]:
        return self._lookups.ask(names, timeout_s=self._timeout_s)

    def products(self, *, q: str, after: str, limit: int) -> ProductPage:
        return self._catalog.products(q=q, after=after, limit=limit)

    def sell(self, buys: Sequence[Buy]) -> Sequence[Sale]:
        return self._sales.ask(buys, timeout_s=self._timeout_s)


class JoinedOrders:
    """An order tier to which buys go together."""

    def __init__(self, orders: OrderTier, *, timeout_s: float, linger_s: float) -> None:
        self._orders = orders
        self._timeout_s = timeout_s
        self._buys: Together[Buy, Placed] = Together(
            lambda buys, within_s: orders.place_all(buys, within_s=within_s), most=MAX_BATCH, linger_s=linger_s
        )

    def place(self, buy: Buy) -> int:
        [placed] = self.place_all([buy])
        return value_or_raise(placed)

    def place_all(self, buys: Sequence[Buy]) -> Sequence[Placed]:
        return self._buys.ask(buys, timeout_s=self._timeout_s)

    def order(self, number: int) -> Order:
        return self._orders.order(number)


class JoinedLog:
    """An order log in which the beginnings and the ends of many buys share a commit."""

    def __init__(self, log: OrderLog, *, timeout_s: float, linger_s: float) -> None:
        self._log = log
        self._timeout_s = timeout_s
        self._steps: Together[Step, Receipt | None] = Together(
            lambda steps, _within_s: log.write(steps),  # bounded by SQLite's busy timeout
            most=MAX_STEPS,
            linger_s=linger_s,
        )

    def write(self, steps: Sequence[Step]) -> Sequence[Receipt | None]:
        return self._steps.ask(steps, timeout_s=self._timeout_s)

    def intents(self, limit: int) -> list[Buy]:
        return self._log.intents(limit)

    def order(self, number: int) -> Order:
        return self._log.order(number)


def value_or_raise(answer: T | StoreError) -> T:
    """In a batch a no stands as a value; to its caller it is raised."""
    if isinstance(answer, StoreError):
        raise answer
    return answer
