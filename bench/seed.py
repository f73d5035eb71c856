"""Fills the databases of a benchmark before its tiers start, and checks the promises after the load.

It writes through the product's own stores, a few thousand buys a transaction, instead of SQL of its own: each entry
passes the checks and triggers of a real buy, and a change of the schema needs no change here. That is fast enough:
about 25 µs an entry in each database, so 1,000,000 orders take about a minute.
"""

import random
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from bench.load import Request
from db.sqlite.catalog import CatalogStore
from db.sqlite.order import OrderStore
from domain.values import Buy, Product
from tests.support.books import Books, query

PRICE_CENTS = 2599
STOCK = 1_000_000_000  # of each product; no run can sell out
BUYS_A_TRANSACTION = 5_000
# The recovery settles buys in doubt after three seconds.
REST_TIMEOUT_S = 15.0


class BrokenPromise(AssertionError):
    """A promise is broken, so the figures of the run are void. The message names the promise."""


def product_name(number: int) -> str:
    """Returns the name of product `number`. It needs no encoding in a URL."""
    return f"product-{number}"


def requests(kind: str, products: int) -> list[Request]:
    """Returns a request for each product: a query, or a buy of one piece (`kind`)."""
    names = [product_name(number) for number in range(products)]
    if kind == "query":
        return [Request("GET", f"/products/{name}") for name in names]
    return [Request("POST", f"/{name}/1") for name in names]


def fill(data_dir: Path, *, products: int, orders: int, progress: Callable[[int], None] = lambda _orders: None) -> None:
    """Creates both databases in a new folder, with orders of one piece each, spread over the products.

    `progress` is called with the number of orders after each transaction. The keys of the orders are as random as those
    of the front end, since the shape of their indexes affects the figures, but the same in each run.
    """
    catalog, log = CatalogStore(data_dir / "catalog.db"), OrderStore(data_dir / "order.db")
    catalog.migrate()
    log.migrate()
    try:
        catalog.load(Product(product_name(number), PRICE_CENTS, STOCK) for number in range(products))
        rng = random.Random(0)
        for first in range(0, orders, BUYS_A_TRANSACTION):
            numbers = range(first, min(orders, first + BUYS_A_TRANSACTION))
            buys = [Buy(_key(rng), product_name(number % products), 1) for number in numbers]
            # The three steps of the checkout.
            log.begin(buys)
            log.finish(list(zip(buys, catalog.sell(buys), strict=True)))
            progress(numbers.stop)
    finally:
        log.close()  # the last connection checkpoints as it closes, so the tiers start with an empty WAL
        catalog.close()


def _key(rng: random.Random) -> str:
    """Returns a key of the form that the front end makes."""
    return uuid.UUID(int=rng.getrandbits(128)).hex


def orders_in(data_dir: Path) -> int:
    """Returns the number of orders in the log."""
    return int(query(data_dir / "order.db", "SELECT coalesce(max(number) + 1, 0) FROM orders")[0][0])


def check(data_dir: Path) -> None:
    """Raises BrokenPromise unless every promise holds once the last buys of the load are settled."""
    # Between two batches there are no intents for a moment, so an immediate check could pass too early.
    time.sleep(1)
    deadline = time.monotonic() + REST_TIMEOUT_S
    while query(data_dir / "order.db", "SELECT 1 FROM intents LIMIT 1") and time.monotonic() < deadline:
        time.sleep(0.1)
    try:
        Books.read(data_dir).check()
    except AssertionError as error:
        raise BrokenPromise(str(error)) from error
