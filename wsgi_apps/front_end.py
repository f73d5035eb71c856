"""The front end: the tier that shoppers see. It keeps no state, and sends what many ask at once on together."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from conf.settings import load
from domain.checkout import MAX_BATCH
from domain.errors import OrderNotFound, ProductNotFound
from domain.protocols import Catalog, Orders, Placed
from domain.values import Buy, Product, parse_name
from wsgi_apps import queries
from wsgi_apps.base import App, Request, Rule
from wsgi_apps.clients import HttpCatalog, HttpOrders
from wsgi_apps.origin import for_shoppers
from wsgi_apps.peer import Peer
from wsgi_apps.reply import Later, Reply, in_thread
from wsgi_apps.together import Together, only
from wsgi_apps.wire import MAX_NAMES, placed_json, product_json

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

# Shorter than the 10 s for which a client repeats its key, longer than the restart of a tier behind.
DEADLINE_S = 6.0
# Longer than the shoppers of the last call need to come again; measured, see bench/RESULTS.md.
LINGER_S = 0.003


class FrontEndApp(App):
    """Queries, buys and orders for shoppers. `threads` wait for what is asked one by one."""

    def __init__(self, catalog: Catalog, orders: Orders, threads: int = 8) -> None:
        self._lookups: Together[str, Product | ProductNotFound] = Together(
            catalog.lookup, most=MAX_NAMES, timeout_s=DEADLINE_S, linger_s=LINGER_S
        )
        self._buys: Together[Buy, Placed] = Together(
            orders.place_all, most=MAX_BATCH, timeout_s=DEADLINE_S, linger_s=LINGER_S
        )
        self._catalog = catalog
        self._orders = orders
        pool = ThreadPoolExecutor(threads)
        self._find_order = in_thread(queries.order, pool)
        rules = [
            Rule("/products", methods=["GET"], endpoint=in_thread(self.products, pool), takes_query=True),
            Rule("/products/<name>", methods=["GET"], endpoint=self.product),
            Rule("/orders/<number>", methods=["GET"], endpoint=self.order),
            Rule("/<name>/<quantity>", methods=["POST"], endpoint=self.buy),
        ]
        super().__init__(rules, probe=lambda: None)

    def product(self, _request: Request, name: str) -> Later[Sequence[Product | ProductNotFound]]:
        found = self._lookups.ask([parse_name(name)])
        return Later(found, lambda answers: Reply({"data": product_json(only(answers))}))

    def products(self, request: Request) -> Reply:
        return queries.products(self._catalog, request)

    def order(self, request: Request, number: str) -> Later[Reply]:
        """An order, for whoever knows its key. Numbers can be counted; to all others there is no such order."""
        key = request.given_key
        if key is None:
            raise OrderNotFound
        return self._find_order(self._orders, number, key)

    def buy(self, request: Request, name: str, quantity: str) -> Later[Sequence[Placed]]:
        placed = self._buys.ask([request.buy(name, quantity)])
        return Later(placed, lambda answers: Reply(placed_json(only(answers))))


def create_app() -> "WSGIApplication":
    """The tier as gunicorn serves it."""
    settings = load()
    catalog = Peer("catalog", settings.catalog.address, deadline_s=DEADLINE_S, secrets=settings.secrets)
    orders = Peer("order tier", settings.order.address, deadline_s=DEADLINE_S, secrets=settings.secrets)
    app = FrontEndApp(HttpCatalog(catalog), HttpOrders(orders), settings.front_end.threads)
    return for_shoppers(app, settings.front_end)
