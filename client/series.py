"""A series of requests by several shoppers at once, each with its own share and its own luck."""

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
    """One request that got its answer. `seconds` is what the shopper waited, repetitions included.

    `product` is what a query found, `order` the number of what was bought.
    """

    kind: str
    outcome: str
    seconds: float
    product: Product | None = None
    order: int | None = None

    @property
    def is_refused(self) -> bool:
        """Whether the store said no."""
        return self.product is None and self.order is None


@dataclass(slots=True)
class Series:
    """The answered requests, also of one that ended early: `failure` says why, `interrupted` that it was Ctrl-C."""

    requests: list[Request] = field(default_factory=list)
    seconds: float = 0.0
    interrupted: bool = False
    failure: str | None = None
    # Of the order of a single buy, for one piece.
    price_cents: int | None = None


def run(options: Options, url: str, advance: Callable[[], None]) -> Series:
    """Run the series; `advance` is called after each round, from any thread."""
    stop = threading.Event()
    series = Series()
    begun = time.perf_counter()
    with ThreadPoolExecutor(options.clients) as pool:
        try:
            names = _names(url, stop) if options.mode == 1 else []
            shares = [
                pool.submit(_shop, options, url, number, names, series, stop, advance)
                for number in range(options.clients)
            ]
            for share in as_completed(shares):
                share.result()
        except StoreDown as error:
            series.failure = str(error)
        except KeyboardInterrupt:
            series.interrupted = True
        finally:
            stop.set()
    series.seconds = time.perf_counter() - begun
    return series


def _names(url: str, stop: threading.Event) -> list[str]:
    with closing(Shop(url, stop)) as shop:
        names = [product.name for product in shop.products()]
    if not names:
        raise StoreDown(f"the store at {url} has no products")
    return names


def _shop(
    options: Options,
    url: str,
    number: int,
    names: list[str],
    series: Series,
    stop: threading.Event,
    advance: Callable[[], None],
) -> None:
    """The share of one shopper. list.append is atomic, so the shoppers write into one series."""
    luck = random.Random(f"{options.seed}/{number}" if options.seed is not None else None)
    rounds = options.count // options.clients + (number < options.count % options.clients)
    shop = Shop(url, stop)
    try:
        for _ in range(rounds):
            if stop.is_set():
                return
            for request in _round(options, shop, names, luck, series):
                series.requests.append(request)
            advance()
    except StoreDown:
        if not stop.is_set():
            raise
    finally:
        shop.close()


def _round(options: Options, shop: Shop, names: list[str], luck: random.Random, series: Series) -> Iterator[Request]:
    if options.mode == 3:
        request, key = _buy(shop, options.product, options.quantity)
        yield request
        if options.is_single and request.order is not None:
            series.price_cents = shop.price_cents(request.order, key)
        return
    name = luck.choice(names) if options.mode == 1 else options.product
    begun = time.perf_counter()
    found = shop.query(name)
    yield Request("query", found.outcome, time.perf_counter() - begun, product=found.product)
    stock = found.product.quantity if found.product else 0
    if options.mode == 1 and stock > 0 and luck.random() < options.p:
        yield _buy(shop, name, luck.randint(1, min(stock, options.quantity)))[0]


def _buy(shop: Shop, name: str, quantity: int) -> tuple[Request, str]:
    begun = time.perf_counter()
    bought = shop.buy(name, quantity)
    return Request("buy", bought.outcome, time.perf_counter() - begun, order=bought.number), bought.key
