"""The catalog tier: keeps the products and their stock, and sells pieces."""

from collections.abc import Iterable

from werkzeug.exceptions import NotFound

from domain.errors import Refused
from domain.protocols import Catalog
from domain.values import parse_name
from wsgi_apps import queries, wire
from wsgi_apps.base import App, Request, Rule, nothing
from wsgi_apps.batcher import single_result
from wsgi_apps.ready import Readiness
from wsgi_apps.reply import BoundedPool, Reply, run_in_pool
from wsgi_apps.roles import for_owner_if_known

# Shorter than the order tier's, whose check waits for this one.
READY_TIMEOUT_S = 1.25

# A page reads many rows, and a search may read all names. One page at a time leaves the other cores to buys (measured,
# see bench/RESULTS.md).
PAGE_THREADS = 1
MAX_QUEUED_PAGES = 16  # a request that finds its queue full is refused at once
# Each worker of the order tier sends up to two batches of sales at a time, and its recovery one more. Sales take turns
# at the write lock, so a third thread would only wait.
SALE_THREADS = 2
MAX_QUEUED_SALES = 64
MAX_QUEUED_DECREMENTS = 64


class CatalogApp(App):
    """Answers queries and sells pieces. `threads` threads run direct decrements, which wait for the disk.

    `owner_rules` are the rules of the owner's calls (wsgi_apps/owner_catalog.py). With `is_remote` the catalog's data
    are on another machine: then no read holds up the thread that serves connections, and /health does not ask for them,
    for a restart of this tier would not bring that machine back.
    """

    def __init__(
        self,
        catalog: Catalog,
        threads: int = 4,
        readiness: Readiness | None = None,
        *,
        owner_rules: Iterable[Rule] = (),
        is_remote: bool = False,
    ) -> None:
        self._catalog = catalog
        read = queries.reads_of(is_remote=is_remote)
        # Three pools, so that sales never queue behind direct decrements, and neither queues behind pages.
        sales = BoundedPool(SALE_THREADS, MAX_QUEUED_SALES)
        decrements = BoundedPool(threads, MAX_QUEUED_DECREMENTS)
        pages = BoundedPool(PAGE_THREADS, MAX_QUEUED_PAGES)
        rules = [
            Rule("/products", methods=["GET"], endpoint=run_in_pool(self.products, pages), takes_query=True),
            Rule("/products/<name>", methods=["GET"], endpoint=read(self.product)),
            Rule(wire.LOOKUPS, methods=["POST"], endpoint=read(self.lookup)),
            Rule(wire.STORE, methods=["GET"], endpoint=run_in_pool(self.introduce, sales)),
            Rule(wire.SALES, methods=["POST"], endpoint=run_in_pool(self.sell, sales)),
            Rule(wire.RETURNS, methods=["POST"], endpoint=for_owner_if_known(run_in_pool(self.take_back, sales))),
            # Without this rule, a call of an unknown version would be a decrement of a product named v2.
            *(Rule(f"/v<int:version>/{call}", methods=["GET", "POST"], endpoint=not_found) for call in wire.CALLS),
            *owner_rules,
            Rule("/<name>/<quantity>", methods=["POST"], endpoint=run_in_pool(self.decrement, decrements)),
        ]
        super().__init__(rules, probe=nothing if is_remote else lambda: catalog.lookup(["any"]), readiness=readiness)

    def product(self, _request: Request, name: str) -> Reply:
        """Shows a product with its price and stock."""
        found = self._catalog.lookup([parse_name(name)])
        return Reply({"data": wire.encode_product(single_result(found))})

    def products(self, request: Request) -> Reply:
        """Shows a page of products."""
        return queries.products(self._catalog, request)

    def lookup(self, request: Request) -> Reply:
        """Looks up a batch of names for the front end."""
        found = self._catalog.lookup(wire.decode_names(request.whole_body))
        return Reply({"data": [wire.encode_found(product) for product in found]})

    def introduce(self, request: Request) -> Reply:
        """Tells the order tier which store this is, so that it buys only from its own catalog."""
        introduction = self._catalog.introduce(wire.decode_last_order(request.headers))
        return Reply({"data": wire.encode_introduction(introduction)})

    def sell(self, request: Request) -> Reply:
        """Sells a batch of buys for the order tier. Each has its own key and its own result."""
        sales = self._catalog.sell(wire.decode_buys(request.whole_body), log=wire.decode_mark(request.headers))
        return Reply({"data": [wire.encode_sale(sale) for sale in sales]})

    def take_back(self, request: Request) -> Reply:
        """Takes a batch of returns back for the order tier. Each has its own key and its own result.

        The front end, which knows TIER_SECRET and the keys of sales, must not put sold pieces back into the stock.
        """
        returns = wire.decode_sale_returns(request.whole_body)
        taken = self._catalog.take_back(returns, log=wire.decode_mark(request.headers))
        return Reply({"data": [wire.encode_take_back(one) for one in taken]})

    def decrement(self, request: Request, name: str, quantity: str) -> Reply:
        """Takes pieces out of the stock without an order: a direct decrement. Its replies are documented exchanges."""
        try:
            self._catalog.decrement(request.buy(name, quantity))
        except Refused as refused:
            return Reply({"message": refused.message}, status=404)
        return Reply({"message": "order has been placed"})


def not_found(_request: Request, version: int) -> Reply:
    """Answers 404 to a call of a version that this tier does not know."""
    raise NotFound(f"version {version}")
