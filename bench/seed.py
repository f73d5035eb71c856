"""Books for a benchmark: a store filled before its tiers start, and checked after the load.

It is filled through the product's own stores, a few thousand buys a transaction, and not by SQL of its own: the guards
and triggers of a real buy then vouch for every entry, and a change of the schema needs no change here. That is fast
enough: about 25 µs an entry in each database, so that 1,000,000 orders take about a minute.
"""

import random
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from bench.load import Request
from db.catalog import CatalogStore
from db.order import OrderStore
from domain.values import Buy, Product
from tests.support.books import Books, query

PRICE_CENTS = 2599
STOCK = 1_000_000_000  # of each product: more than any run can buy
BUYS_A_TRANSACTION = 5_000
# The recovery settles buys in doubt after three seconds.
AT_REST_WITHIN_S = 15.0


class BrokenPromise(AssertionError):
    """The books do not add up; the message says what is wrong. What was measured is worth nothing."""


def product_name(number: int) -> str:
    """The name of a product, numbered from 0. It needs no encoding in a URL."""
    return f"product-{number}"


def requests(kind: str, products: int) -> list[Request]:
    """A query or a buy of one piece (`kind`) for each of so many products."""
    names = [product_name(number) for number in range(products)]
    if kind == "query":
        return [Request("GET", f"/products/{name}") for name in names]
    return [Request("POST", f"/{name}/1") for name in names]


def fill(data_dir: Path, *, products: int, orders: int, progress: Callable[[int], None] = lambda _orders: None) -> None:
    """Make both databases in a new folder: so many products, and so many orders of one piece, spread over them.

    `progress` hears from time to time how many orders are written. The keys of the orders are as random as those that
    the front end makes, but the same in each run, for the shape of their indexes is part of what is measured.
    """
    catalog, log = CatalogStore(data_dir / "catalog.db"), OrderStore(data_dir / "order.db")
    catalog.migrate()
    log.migrate()
    try:
        catalog.load(Product(product_name(number), PRICE_CENTS, STOCK) for number in range(products))
        chance = random.Random(0)
        for first in range(0, orders, BUYS_A_TRANSACTION):
            numbers = range(first, min(orders, first + BUYS_A_TRANSACTION))
            buys = [Buy(_key(chance), product_name(number % products), 1) for number in numbers]
            # The three steps of the checkout.
            log.begin(buys)
            log.finish(list(zip(buys, catalog.sell(buys), strict=True)))
            progress(numbers.stop)
    finally:
        log.close()  # closing the last connection checkpoints, so that the tiers begin with an empty WAL
        catalog.close()


def _key(chance: random.Random) -> str:
    return uuid.UUID(int=chance.getrandbits(128)).hex


def orders_in(data_dir: Path) -> int:
    """How many orders the log has."""
    return int(query(data_dir / "order.db", "SELECT coalesce(max(number) + 1, 0) FROM orders")[0][0])


def check(data_dir: Path) -> None:
    """Raises BrokenPromise unless every promise holds once the buys under way when the load ended are settled."""
    # Between two batches of buys none is in doubt for a moment, so that a look at once would prove nothing.
    time.sleep(1)
    deadline = time.monotonic() + AT_REST_WITHIN_S
    while query(data_dir / "order.db", "SELECT 1 FROM intents LIMIT 1") and time.monotonic() < deadline:
        time.sleep(0.1)
    try:
        Books.read(data_dir).check()
    except AssertionError as error:
        raise BrokenPromise(str(error)) from error
