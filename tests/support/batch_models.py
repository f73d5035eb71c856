"""Models of the catalog and of the order log that take one buy at a time, and batches for Hypothesis to compare."""

from collections.abc import Callable, Sequence
from typing import Any

import hypothesis.strategies as st

from db.product_changes import ProductChanges
from db.sales import Reason
from domain.errors import KeyReused, OutOfStock, ProductNotFound, Refused, StoreError
from domain.protocols import Catalog, OrderLog, Placed, Sale
from domain.values import Buy, Product, Sold

OWNERS_KEY = "the owner's"  # the key of a restock
STOCK = {"Tux": 5, "Bird": 1, "Old": 9}  # Old is retired
PRICES = {"Tux": 2599, "Bird": 3999}
BUYS = st.builds(
    Buy,
    key=st.sampled_from(["a", "b", "c", OWNERS_KEY]),
    product=st.sampled_from([*STOCK, "Nix"]),
    quantity=st.integers(1, 2),
)
SALES = st.sampled_from([Sold(1), Sold(2), OutOfStock(), ProductNotFound(), KeyReused()])
BEGUN = st.integers(0, 5)  # the place of a buy among those that have begun
ENDS = st.tuples(st.one_of(BEGUN, BEGUN, BEGUN, BUYS), SALES)
LOG_BATCHES = st.lists(st.lists(BUYS, max_size=8) | st.lists(ENDS, max_size=8), max_size=8)
SALE_BATCHES = st.lists(
    st.tuples(st.lists(BUYS, max_size=8), st.sampled_from(["sold", "sold", "decrement"])), max_size=5
)


def fill(owner: ProductChanges) -> None:
    """Gives an empty catalog the stock STOCK at PRICES."""
    for name in STOCK:
        owner.add(Product(name, PRICES.get(name, 1), STOCK[name] - (name == "Tux")), f"the owner's {name}")
    owner.restock("Tux", 1, OWNERS_KEY)
    owner.retire("Old", "another key of the owner's")


class NotBegun(Exception):
    """The model of the log refuses the end of a buy that has not begun."""


class LogModel:
    """A model of the order log, which begins and finishes one buy at a time."""

    def __init__(self) -> None:
        self.orders: list[tuple[Buy, int]] = []
        self.refused: dict[str, tuple[Buy, Refused]] = {}
        self.intents: dict[str, Buy] = {}

    def begin(self, buys: Sequence[Buy]) -> list[Placed | None]:
        return [self._begin(buy) for buy in buys]

    def finish(self, sales: Sequence[tuple[Buy, Sale]]) -> list[Placed]:
        """Raises NotBegun, and has written nothing, when a buy has not begun."""
        before = list(self.orders), dict(self.refused), dict(self.intents)
        try:
            return [self._finish(buy, sale) for buy, sale in sales]
        except NotBegun:
            self.orders, self.refused, self.intents = before
            raise

    def _begin(self, buy: Buy) -> Placed | None:
        outcome = self._outcome(buy)
        if outcome is None and self.intents.setdefault(buy.key, buy) != buy:
            return KeyReused()
        return outcome

    def _finish(self, buy: Buy, sale: Sale) -> Placed:
        outcome = self._outcome(buy)
        if outcome is None:
            if not isinstance(sale, KeyReused) and self.intents.get(buy.key) != buy:
                raise NotBegun
            if isinstance(sale, Sold):
                outcome = len(self.orders)
                self.orders.append((buy, sale.price_cents))
            else:
                outcome = sale
                if isinstance(sale, Refused):
                    self.refused[buy.key] = buy, sale
        if self.intents.get(buy.key) == buy:
            del self.intents[buy.key]
        return outcome

    def _outcome(self, buy: Buy) -> Placed | None:
        for number, (known, _) in enumerate(self.orders):
            if known.key == buy.key:
                return number if known == buy else KeyReused()
        if buy.key in self.refused:
            known, refusal = self.refused[buy.key]
            return refusal if known == buy else KeyReused()
        return None

    def check(self, query_log: Callable[[str], list[Any]]) -> None:
        """Asserts that the rows of a log are those of the model."""
        orders = query_log("SELECT number, key, product, quantity, price_cents FROM orders ORDER BY number")
        assert orders == [(number, *row(buy), price) for number, (buy, price) in enumerate(self.orders)]
        refused = query_log("SELECT key, product, quantity, reason FROM refused")
        assert set(refused) == {(*row(buy), refusal.message) for buy, refusal in self.refused.values()}
        intents = query_log("SELECT key, product, quantity FROM intents ORDER BY begun")
        assert intents == [row(buy) for buy in self.intents.values()]


def assert_logs_as(
    model: LogModel,
    log: OrderLog,
    batch: Sequence[Buy | tuple[Buy | int, Sale]],
    begun: list[Buy],
    not_begun: type[Exception],
) -> None:
    """Asserts that the log begins or ends a batch as the model does. `begun` has all buys that have begun until now.

    The log raises `not_begun` for the end of a buy that has not begun, and has then written nothing.
    """
    buys = [buy for buy in batch if isinstance(buy, Buy)]
    ends = [end for end in batch if not isinstance(end, Buy)]
    begun += buys
    assert log.begin(buys) == model.begin(buys)
    sales = [(begun[at % len(begun)] if isinstance(at, int) else at, sale) for at, sale in ends if begun]
    assert _outcome(log.finish, sales, not_begun) == _outcome(model.finish, sales, NotBegun)


def _outcome(
    finish: Callable[[Sequence[tuple[Buy, Sale]]], Sequence[Placed]],
    sales: Sequence[tuple[Buy, Sale]],
    not_begun: type[Exception],
) -> Sequence[Placed] | None:
    """Returns the results of the buys, or None when one of them has not begun."""
    try:
        return finish(sales)
    except not_begun:
        return None


class CatalogModel:
    """A model of the catalog, which sells one buy at a time."""

    def __init__(self) -> None:
        self.stock = dict(STOCK)
        self.entries: list[tuple[object, ...]] = []
        self.outcomes: dict[str, tuple[Buy, Reason | None, Sale]] = {}

    def sell(self, buy: Buy, reason: Reason) -> Sale:
        if buy.key == OWNERS_KEY:
            return KeyReused()
        if buy.key not in self.outcomes:
            sale = self._take(buy, reason)
            # A refusal has taken no pieces, so its key fits a sale and a decrement.
            self.outcomes[buy.key] = buy, reason if isinstance(sale, Sold) else None, sale
        known, taken_as, sale = self.outcomes[buy.key]
        return sale if known == buy and taken_as in (reason, None) else KeyReused()

    def _take(self, buy: Buy, reason: Reason) -> Sale:
        if buy.product not in PRICES:
            return ProductNotFound()
        if self.stock[buy.product] < buy.quantity:
            return OutOfStock()
        self.stock[buy.product] -= buy.quantity
        price_cents = PRICES[buy.product]
        self.entries.append((buy.product, -buy.quantity, self.stock[buy.product], reason, buy.key, price_cents))
        return Sold(price_cents)

    def check(self, query_catalog: Callable[[str], list[Any]]) -> None:
        """Asserts that the rows of a catalog are those of the model."""
        assert dict(query_catalog("SELECT name, quantity FROM products")) == self.stock
        entries = "SELECT product, delta, balance, reason, key, price_cents FROM stock_ledger"
        assert query_catalog(f"{entries} WHERE delta < 0 ORDER BY entry") == self.entries
        refusals = {(*row(buy), sale.message) for buy, _, sale in self.outcomes.values() if isinstance(sale, Refused)}
        assert set(query_catalog("SELECT key, product, quantity, reason FROM refused")) == refusals


def assert_sells_as(model: CatalogModel, catalog: Catalog, buys: Sequence[Buy], reason: Reason) -> None:
    """Asserts that the catalog answers a batch as the model answers its buys one by one."""
    sales = [model.sell(buy, reason) for buy in buys]
    if reason == "sold":
        assert catalog.sell(buys) == sales
    else:
        errors = [error_of_decrement(catalog, buy) for buy in buys]
        assert errors == [None if isinstance(sale, Sold) else sale for sale in sales]


def error_of_decrement(catalog: Catalog, buy: Buy) -> StoreError | None:
    """Returns the error of a direct decrement, or None when it was sold."""
    try:
        catalog.decrement(buy)
    except StoreError as error:
        return error
    return None


def row(buy: Buy) -> tuple[str, str, int]:
    """Returns the columns of a buy that every table has."""
    return buy.key, buy.product, buy.quantity
