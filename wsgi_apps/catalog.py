"""The catalog tier: products, their stock, and the only place where a piece leaves it."""

from werkzeug.routing import Rule

from conf.settings import Settings, load
from db.catalog import CatalogStore
from db.products_file import read_products
from domain.errors import Refused, StoreError
from wsgi_apps.base import App, Reply, Request
from wsgi_apps.queries import ProductQueries
from wsgi_apps.wire import buys_of, found_json, names_of, sale_json


class CatalogApp(App):
    """Answers queries and takes pieces out of the stock."""

    def __init__(self, catalog: CatalogStore) -> None:
        self._catalog = catalog
        products = ProductQueries(catalog)
        rules = [
            Rule("/products", methods=["GET"], endpoint=products.products),
            Rule("/products/<name>", methods=["GET"], endpoint=products.product),
            Rule("/lookups", methods=["POST"], endpoint=self.lookup),
            Rule("/sales", methods=["POST"], endpoint=self.sell),
            Rule("/<name>/<quantity>", methods=["POST"], endpoint=self.decrement),
        ]
        super().__init__(rules, probe=catalog.is_empty)

    def lookup(self, request: Request) -> Reply:
        """For the front end: what many shoppers ask at once."""
        return Reply({"data": [found_json(found) for found in self._catalog.lookup(names_of(request.whole_body))]})

    def sell(self, request: Request) -> Reply:
        """For the order tier: each buy by its own key, each with its own answer."""
        sales = self._catalog.sell(buys_of(request.whole_body))
        return Reply({"data": [sale_json(sale) for sale in sales]})

    def decrement(self, request: Request, name: str, quantity: str) -> Reply:
        """A direct decrement: pieces leave the stock without an order. The replies are documented."""
        [sale] = self._catalog.sell([request.buy(name, quantity)], reason="decrement")
        if isinstance(sale, Refused):
            return Reply({"message": sale.message}, status=404)
        if isinstance(sale, StoreError):
            raise sale
        return Reply({"message": "order has been placed"})


def create_app() -> CatalogApp:
    """The tier as gunicorn serves it."""
    return CatalogApp(_store(load()))


def prepare(settings: Settings) -> None:
    """Before the first worker: schema, and the first products. Raises StartRefused."""
    store = _store(settings)
    store.migrate()
    try:
        if store.is_empty():
            store.load(read_products(settings.products))
    finally:
        store.close()


def _store(settings: Settings) -> CatalogStore:
    return CatalogStore(settings.data_dir / "catalog.db")
