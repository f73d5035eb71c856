"""Runs a series of queries and buys by parallel shoppers. Each has a share of the rounds, and a random seed."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass, field

from client.options import Options
from client.shop import Shop, StoreDown
from domain.values import Product


@dataclass(frozen=True, slots=True)
class Request:
    """A query or a buy that was answered.

    `seconds` is the shopper's waiting time, retries included. `product` is the result of a query, `order` the order
    number of a buy; a refused request has neither.
    """

    kind: str
    outcome: str
    seconds: float
    product: Product | None = None
    order: int | None = None

    @property
    def is_refused(self) -> bool:
        """Whether the store refused the request."""
        return self.product is None and self.order is None


@dataclass(slots=True)
class Series:
    """The answered requests of a series. `failure` is the reason why it ended early; Ctrl-C sets `interrupted`."""

    requests: list[Request] = field(default_factory=list)  # all shoppers append to it: list.append is atomic
    seconds: float = 0.0
    interrupted: bool = False
    failure: str | None = None
    price_cents: int | None = None  # of one piece, after a single buy


def run_series(options: Options, url: str, advance: Callable[[], None]) -> Series:
    """Runs the series and returns its requests. Calls `advance` after each round, from any thread."""
    stop = threading.Event()
    series = Series()
    begun = time.perf_counter()
    with ThreadPoolExecutor(options.clients) as pool:
        try:
            names = _product_names(options, url, stop) if options.mode == 1 else []
            shoppers = [
                pool.submit(_run_shopper, options, url, number, names, series, stop, advance)
                for number in range(options.clients)
            ]
            for shopper in as_completed(shoppers):
                shopper.result()
        except StoreDown as error:
            series.failure = str(error)
        except KeyboardInterrupt:
            series.interrupted = True
        finally:
            stop.set()
    series.seconds = time.perf_counter() - begun
    return series


def _product_names(options: Options, url: str, stop: threading.Event) -> list[str]:
    with closing(Shop(url, stop, options.patience_s)) as shop:
        names = [product.name for product in shop.products()]
    if not names:
        raise StoreDown(f"the store at {url} has no products")
    return names


def _run_shopper(
    options: Options,
    url: str,
    number: int,
    names: list[str],
    series: Series,
    stop: threading.Event,
    advance: Callable[[], None],
) -> None:
    """Runs one shopper's share of the rounds, until `stop` is set. `number` counts the shoppers from 0."""
    rng = random.Random(f"{options.seed}/{number}" if options.seed is not None else None)
    rounds = options.count // options.clients + (number < options.count % options.clients)
    with closing(Shop(url, stop, options.patience_s)) as shop:
        try:
            for _ in range(rounds):
                if stop.is_set():
                    return
                for request in _run_round(options, shop, names, rng, series):
                    series.requests.append(request)
                advance()
        except StoreDown:
            if not stop.is_set():  # otherwise `stop` has ended the request
                raise


def _run_round(options: Options, shop: Shop, names: list[str], rng: random.Random, series: Series) -> Iterator[Request]:
    """Yields the requests of one round: a buy in mode 3, otherwise a query, and in mode 1 perhaps a buy after it."""
    if options.mode == 3:
        request, key = _buy(shop, options.product, options.quantity)
        yield request
        if options.is_single and request.order is not None:
            series.price_cents = shop.price_cents(request.order, key)
        return
    name = rng.choice(names) if options.mode == 1 else options.product
    begun = time.perf_counter()
    result = shop.query(name)
    yield Request("query", result.outcome, time.perf_counter() - begun, product=result.product)
    stock = result.product.quantity if result.product else 0
    if options.mode == 1 and stock > 0 and rng.random() < options.p:
        request, _ = _buy(shop, name, rng.randint(1, min(stock, options.quantity)))
        yield request


def _buy(shop: Shop, name: str, quantity: int) -> tuple[Request, str]:
    begun = time.perf_counter()
    result = shop.buy(name, quantity)
    return Request("buy", result.outcome, time.perf_counter() - begun, order=result.number), result.key
