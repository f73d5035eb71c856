"""Buys, and limits of refused buys, for tests."""

from domain.limited_checkout import LimitedCheckout
from domain.protocols import Catalog, OrderLog, Orders
from domain.refusal_limit import BURST_S, RefusalLimit
from domain.values import Buy
from wsgi_apps.batcher import single_result

# RefusalLimit(PER_S) allows BURST refused buys at once, and one more every 100 s.
BURST = 6
PER_S = BURST / BURST_S


def never_limited(orders: OrderLog, catalog: Catalog) -> LimitedCheckout:
    """Returns a checkout whose limit of refused buys no test reaches."""
    return LimitedCheckout(orders, catalog, RefusalLimit(1_000_000))


def place(orders: Orders, buy: Buy) -> int:
    """Returns the number of the order of a single buy, or raises its error."""
    return single_result(orders.place_all([buy]))


def unknown(name: object) -> Buy:
    """Returns a buy of a product that does not exist. The name is part of its key."""
    return Buy(f"unknown-{name}", "Unicorn", 1)
