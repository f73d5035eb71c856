"""The catalog tier: products, their stock, and the only place where a piece leaves it."""

from werkzeug.exceptions import NotFound

from db.catalog import CatalogStore
from domain.errors import Refused, StoreError
from domain.values import parse_name
from wsgi_apps import queries, wire
from wsgi_apps.base import App, Request, Rule
from wsgi_apps.ready import Readiness
from wsgi_apps.reply import BoundedPool, Reply, in_thread

# Shorter than the order tier's, which asks.
READY_TIMEOUT_S = 1.25

# A page reads far, and a search may read all names. One at a time keeps the other cores free for buys; measured, see
# bench/RESULTS.md. How many wait in line for it; beyond, a page is refused at once.
PAGE_THREADS = 1
PAGES_IN_LINE = 16
# Sales come from the order tier, two batches at a time from each of its workers and one from each recovery. They take
# turns at the database, so a thread more would wait as well.
SALE_THREADS = 2
SALES_IN_LINE = 64
DECREMENTS_IN_LINE = 64


class CatalogApp(App):
    """Answers queries and takes pieces out of the stock. `threads` wait for the disk with direct decrements."""

    def __init__(self, catalog: CatalogStore, threads: int = 4) -> None:
        self._catalog = catalog
        # The order tier must not queue behind direct decrements, nor either of them behind pages.
        sellers, pool = BoundedPool(SALE_THREADS, SALES_IN_LINE), BoundedPool(threads, DECREMENTS_IN_LINE)
        pages = BoundedPool(PAGE_THREADS, PAGES_IN_LINE)
        rules = [
            Rule("/products", methods=["GET"], endpoint=in_thread(self.products, pages), takes_query=True),
            Rule("/products/<name>", methods=["GET"], endpoint=self.product),
            Rule(wire.LOOKUPS, methods=["POST"], endpoint=self.lookup),
            Rule(wire.STORE, methods=["GET"], endpoint=in_thread(self.introduce, sellers)),
            Rule(wire.SALES, methods=["POST"], endpoint=in_thread(self.sell, sellers)),
            # Of another version; else they would be decrements of a product of that name.
            *(Rule(f"/v<int:version>/{call}", methods=["GET", "POST"], endpoint=not_found) for call in wire.CALLS),
            Rule("/<name>/<quantity>", methods=["POST"], endpoint=in_thread(self.decrement, pool)),
        ]
        readiness = Readiness({"catalog.db": catalog.require_writable}, READY_TIMEOUT_S)
        super().__init__(rules, probe=catalog.is_empty, readiness=readiness)

    def product(self, _request: Request, name: str) -> Reply:
        return Reply({"data": wire.encode_product(self._catalog.product(parse_name(name)))})

    def products(self, request: Request) -> Reply:
        return queries.products(self._catalog, request)

    def lookup(self, request: Request) -> Reply:
        """For the front end: what many shoppers ask at once."""
        found = self._catalog.lookup(wire.decode_names(request.whole_body))
        return Reply({"data": [wire.encode_found(product) for product in found]})

    def introduce(self, request: Request) -> Reply:
        """For the order tier: which store this is, so that it buys from its own and from no other."""
        return Reply(
            {"data": wire.encode_introduction(self._catalog.introduce(wire.decode_last_order(request.headers)))}
        )

    def sell(self, request: Request) -> Reply:
        """For the order tier: each buy by its own key, each with its own answer."""
        sales = self._catalog.sell(wire.decode_buys(request.whole_body), log=wire.decode_mark(request.headers))
        return Reply({"data": [wire.encode_sale(sale) for sale in sales]})

    def decrement(self, request: Request, name: str, quantity: str) -> Reply:
        """A direct decrement: pieces leave the stock without an order. The replies are documented."""
        [sale] = self._catalog.sell([request.buy(name, quantity)], reason="decrement")
        if isinstance(sale, Refused):
            return Reply({"message": sale.message}, status=404)
        if isinstance(sale, StoreError):
            raise sale
        return Reply({"message": "order has been placed"})


def not_found(_request: Request, version: int) -> Reply:
    raise NotFound(f"version {version}")
