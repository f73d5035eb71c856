"""The front end: the tier that shoppers see. It keeps no state, and sends what many ask at once on together."""

from collections.abc import Sequence

from domain.checkout import MAX_BATCH
from domain.errors import OrderNotFound
from domain.protocols import Catalog, Found, Orders, Placed
from domain.values import Buy, parse_name
from wsgi_apps import queries
from wsgi_apps.base import App, Request, Rule
from wsgi_apps.batcher import Asker, Batcher, BatcherFactory, single_result
from wsgi_apps.ready import Readiness
from wsgi_apps.reply import BoundedPool, Later, Reply, in_thread
from wsgi_apps.wire import MAX_NAMES, encode_order_number, encode_product

# Shorter than the 10 s for which a client repeats its key, longer than the restart of a tier behind.
DEADLINE_S = 6.0
# Longer than the shoppers of the last call need to come again; measured, see bench/RESULTS.md.
LINGER_S = 0.003
# Pages have threads of their own, so that nothing else waits behind them, and few, for each is a large answer. How
# many a worker has under way and in line; measured, see bench/RESULTS.md. Beyond, a page is refused at once.
PAGE_THREADS = 2
PAGES_IN_LINE = 32
ORDERS_IN_LINE = 64
# Shorter than the 2.5 s for which `python -m conf.health` waits.
READY_TIMEOUT_S = 2.0


class FrontEndApp(App):
    """Queries, buys and orders for shoppers. `threads` wait for single orders."""

    def __init__(
        self,
        catalog: Catalog,
        orders: Orders,
        threads: int = 8,
        readiness: Readiness | None = None,
        *,
        batcher: BatcherFactory = Batcher,
    ) -> None:
        self._lookups: Asker[str, Found] = batcher(
            catalog.lookup, max_batch_size=MAX_NAMES, timeout_s=DEADLINE_S, linger_s=LINGER_S
        )
        self._buys: Asker[Buy, Placed] = batcher(
            orders.place_all, max_batch_size=MAX_BATCH, timeout_s=DEADLINE_S, linger_s=LINGER_S
        )
        self._catalog = catalog
        self._orders = orders
        pages, pool = BoundedPool(PAGE_THREADS, PAGES_IN_LINE), BoundedPool(threads, ORDERS_IN_LINE)
        self._find_order = in_thread(queries.order, pool)
        rules = [
            Rule("/products", methods=["GET"], endpoint=in_thread(self.products, pages), takes_query=True),
            Rule("/products/<name>", methods=["GET"], endpoint=self.product),
            Rule("/orders/<number>", methods=["GET"], endpoint=self.order),
            Rule("/<name>/<quantity>", methods=["POST"], endpoint=self.buy),
        ]
        super().__init__(rules, probe=lambda: None, readiness=readiness)

    def product(self, _request: Request, name: str) -> Later[Sequence[Found]]:
        found = self._lookups.ask([parse_name(name)])
        return Later(found, lambda answers: Reply({"data": encode_product(single_result(answers))}))

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
        return Later(placed, lambda answers: Reply(encode_order_number(single_result(answers))))
