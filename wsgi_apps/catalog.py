"""The catalog tier: products, their stock, and the only place where a piece leaves it."""

import logging
from typing import TYPE_CHECKING

from werkzeug.exceptions import NotFound

from conf.settings import Settings, load
from db.catalog import CatalogStore
from db.pairing import CATALOG_NAME, require_whole
from db.products_file import read_products
from domain.errors import Refused
from domain.protocols import Catalog
from domain.values import parse_name
from wsgi_apps import queries, wire
from wsgi_apps.base import App, Request, Rule
from wsgi_apps.batcher import single_result
from wsgi_apps.bearer_auth import guarded
from wsgi_apps.origin import TierOriginMiddleware
from wsgi_apps.ready import Readiness
from wsgi_apps.reply import BoundedPool, Reply, in_thread

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

# Shorter than the order tier's, which asks.
READY_TIMEOUT_S = 1.25

_log = logging.getLogger(__name__)

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

    def __init__(self, catalog: Catalog, threads: int = 4, readiness: Readiness | None = None) -> None:
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
        super().__init__(rules, probe=lambda: catalog.lookup(["any"]), readiness=readiness)

    def product(self, _request: Request, name: str) -> Reply:
        return Reply({"data": wire.encode_product(single_result(self._catalog.lookup([parse_name(name)])))})

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
        try:
            self._catalog.decrement(request.buy(name, quantity))
        except Refused as refused:
            return Reply({"message": refused.message}, status=404)
        return Reply({"message": "order has been placed"})


def not_found(_request: Request, version: int) -> Reply:
    raise NotFound(f"version {version}")


def create_app() -> "WSGIApplication":
    """The tier as gunicorn serves it."""
    settings = load()
    store = _store(settings)
    readiness = Readiness({"catalog.db": store.require_writable}, READY_TIMEOUT_S)
    app = CatalogApp(store, settings.catalog.threads, readiness)
    return TierOriginMiddleware(guarded(app, settings.secrets), settings.catalog)


def prepare(settings: Settings) -> None:
    """Before the first worker: schema, and the first products. Raises StartRefused."""
    if warning := require_whole(settings.data_dir, CATALOG_NAME):
        _log.warning("%s", warning)
    store = _store(settings)
    store.migrate()
    try:
        if store.is_empty():
            products = read_products(settings.products)
            if not products:  # on purpose, where the owner adds them all by hand
                _log.warning(
                    "%s (PRODUCTS) has no product, so the shop is empty: python -m admin add adds some",
                    settings.products,
                )
            store.load(products)
    finally:
        store.close()


def _store(settings: Settings) -> CatalogStore:
    folder = settings.data_dir
    return CatalogStore(folder / CATALOG_NAME, require=lambda: require_whole(folder, CATALOG_NAME))
