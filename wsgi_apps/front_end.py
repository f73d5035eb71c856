"""The front end: the tier that shoppers see. It keeps no state, and sends what many ask at once on together."""

from werkzeug.routing import Rule

from conf.settings import load
from domain.protocols import Catalog, Orders
from wsgi_apps.base import App, Reply, Request
from wsgi_apps.clients import HttpCatalog, HttpOrders, Peer
from wsgi_apps.joined import JoinedCatalog, JoinedOrders
from wsgi_apps.queries import OrderQueries, ProductQueries
from wsgi_apps.wire import placed_json

# Shorter than the 10 s for which a client repeats its key, longer than the restart of a tier behind.
DEADLINE_S = 6.0
# Measured with 32 shoppers: 3 ms give 15 to 20 % more than 1 ms. A lone shopper never waits.
LINGER_S = 0.003


class FrontEndApp(App):
    """Queries, buys and orders for shoppers."""

    def __init__(self, catalog: Catalog, orders: Orders) -> None:
        self._orders = orders
        products, placed = ProductQueries(catalog), OrderQueries(orders.order)
        rules = [
            Rule("/products", methods=["GET"], endpoint=products.products),
            Rule("/products/<name>", methods=["GET"], endpoint=products.product),
            Rule("/orders/<number>", methods=["GET"], endpoint=placed.order),
            Rule("/<name>/<quantity>", methods=["POST"], endpoint=self.buy),
        ]
        super().__init__(rules, probe=lambda: None)

    def buy(self, request: Request, name: str, quantity: str) -> Reply:
        number = self._orders.place(request.buy(name, quantity))
        return Reply(placed_json(number))


def create_app() -> FrontEndApp:
    """The tier as gunicorn serves it."""
    settings = load()
    catalog = Peer("catalog", settings.catalog.address, deadline_s=DEADLINE_S)
    orders = Peer("order tier", settings.order.address, deadline_s=DEADLINE_S)
    return FrontEndApp(
        JoinedCatalog(HttpCatalog(catalog), timeout_s=DEADLINE_S, linger_s=LINGER_S),
        JoinedOrders(HttpOrders(orders), timeout_s=DEADLINE_S, linger_s=LINGER_S),
    )
