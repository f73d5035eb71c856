"""The front end: the tier that shoppers see. It keeps no state, and sends queries and buys on in batches."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from domain.errors import OrderNotFound
from domain.limits import MAX_BATCH, MAX_NAMES
from domain.protocols import Catalog, Found, Orders, Placed
from domain.values import Buy, KnownBuy, Product, parse_name
from wsgi_apps import queries
from wsgi_apps.base import App, Request, Rule
from wsgi_apps.batcher import Asker, Batcher, BatcherFactory, single_result
from wsgi_apps.pages.api_docs import ApiDocs, swagger_files
from wsgi_apps.pages.shop.rules import Shop
from wsgi_apps.pages.static import StaticFiles
from wsgi_apps.pages.templates import Templates
from wsgi_apps.ready import Readiness
from wsgi_apps.reply import BoundedPool, Deferred, Reply, run_in_pool
from wsgi_apps.wire import encode_order_number, encode_product_body, product_etag

# Shorter than the 10 s for which a client repeats its key, longer than the restart of a tier behind.
DEADLINE_S = 6.0
# Longer than the shoppers of one batch need to send their next requests (measured, see bench/RESULTS.md).
LINGER_S = 0.003
# In each worker. Pages have threads of their own, so that no other request waits behind them. The threads are few,
# because a page is large (measured, see bench/RESULTS.md).
PAGE_THREADS = 2
MAX_QUEUED_PAGES = 32  # a request that finds its queue full is refused at once
MAX_QUEUED_ORDERS = 64
# Shorter than the 2.5 s for which `python -m conf.health` waits.
READY_TIMEOUT_S = 2.0
# A product has the same reply until it is bought, so replies are kept: encoding one costs more than its ETag. With the
# longest names they take 1 MB in a worker.
MAX_CACHED_REPLIES = 1_024


class FrontEndApp(App):
    """Serves the shop, queries, buys and orders. `threads` threads ask the order tier for single orders.

    `pictures` is the folder of the products' pictures. `currency` is shown beside prices.
    """

    def __init__(
        self,
        catalog: Catalog,
        orders: Orders,
        threads: int = 8,
        readiness: Readiness | None = None,
        *,
        pictures: Path | None = None,
        currency: str | None = None,
        batcher: BatcherFactory = Batcher,
    ) -> None:
        self._lookups: Asker[str, Found] = batcher(
            catalog.lookup, max_batch_size=MAX_NAMES, timeout_s=DEADLINE_S, linger_s=LINGER_S
        )
        self._buys: Asker[Buy, Placed] = batcher(
            orders.place_all, max_batch_size=MAX_BATCH, timeout_s=DEADLINE_S, linger_s=LINGER_S
        )
        known: Asker[str, KnownBuy | None] = batcher(orders.find, max_batch_size=MAX_BATCH, timeout_s=DEADLINE_S)
        self._catalog = catalog
        self._orders = orders
        self._product_reply = lru_cache(MAX_CACHED_REPLIES)(_product_reply)
        pages, pool = BoundedPool(PAGE_THREADS, MAX_QUEUED_PAGES), BoundedPool(threads, MAX_QUEUED_ORDERS)
        self._find_order = run_in_pool(queries.order, pool)
        static = StaticFiles(extra=swagger_files())
        self._shop = Shop(
            catalog,
            self._lookups,
            known,
            self._buys,
            static,
            pages,
            buy_by_path=self.buy,
            pictures=pictures,
            currency=currency,
        )
        rules = [
            *self._shop.rules(),
            Rule("/products", methods=["GET"], endpoint=run_in_pool(self.products, pages), takes_query=True),
            Rule("/products/<name>", methods=["GET"], endpoint=self.product),
            Rule("/orders/<number>", methods=["GET"], endpoint=self.order),
            Rule("/<name>/<quantity>", methods=["POST"], endpoint=self.buy),
            static.rule(pages),
            *ApiDocs("shop", "The shop", Templates(static=static.url)).rules(),
        ]
        super().__init__(rules, probe=lambda: None, readiness=readiness)

    def product(self, request: Request, name: str) -> Deferred[Sequence[Found]]:
        """Shows a product with its price and stock. A page that asks again and again sends the ETag that it has."""
        found = self._lookups.ask([parse_name(name)])

        def show(answers: Sequence[Found]) -> Reply:
            product = single_result(answers)
            if request.has_etag(etag := product_etag(product)):
                return Reply(b"", 304, {"ETag": etag})
            return self._product_reply(product)

        return Deferred(found, show)

    def show_error(self, request: Request, error: Reply) -> Reply:
        """Shows a page where a browser asks for one, see Shop.show_error."""
        return self._shop.show_error(request, error)

    def products(self, request: Request) -> Reply:
        """Shows a page of products."""
        return queries.products(self._catalog, request)

    def order(self, request: Request, number: str) -> Deferred[Reply]:
        """Shows an order to a client that sends its key. Others get a 404, because order numbers are easy to guess."""
        key = request.given_key
        if key is None:
            raise OrderNotFound
        return self._find_order(self._orders, number, key)

    def buy(self, request: Request, name: str, quantity: str) -> Deferred[Sequence[Placed]]:
        """Buys through the order tier. The reply has the order number."""
        placed = self._buys.ask([request.buy(name, quantity)])
        return Deferred(placed, lambda answers: Reply(encode_order_number(single_result(answers))))


def _product_reply(product: Product) -> Reply:
    """Returns the reply with a product."""
    return Reply(encode_product_body(product), 200, {"ETag": product_etag(product)})
