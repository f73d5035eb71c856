"""The clients of the tiers pass the contracts of the stores behind them, over HTTP in one process."""

from collections.abc import Callable, Iterator

import pytest
from werkzeug.wrappers import Request, Response

from db.catalog import CatalogStore
from db.order import OrderStore
from domain.limited_checkout import LimitedCheckout
from domain.refusal_limit import RefusalLimit
from tests.contracts.catalog import CatalogContract
from tests.contracts.orders import OrdersContract
from tests.support.stub_server import tier
from wsgi_apps.base import App
from wsgi_apps.catalog import CatalogApp
from wsgi_apps.clients import HttpCatalog, HttpOrders
from wsgi_apps.order import OrderApp
from wsgi_apps.pairing import PairedCatalog, PairedCheckout
from wsgi_apps.tier_client import TierClient


@pytest.fixture
def catalog_client(catalog: CatalogStore) -> Iterator[TierClient]:
    with tier(served_by(CatalogApp(catalog))) as client:
        yield client


def served_by(app: App) -> Callable[[Request], Response]:
    def answer(request: Request) -> Response:
        return Response.from_app(app, request.environ, buffered=True)

    return answer


class TestHttpCatalog(CatalogContract):
    """In front of a catalog tier."""

    @pytest.fixture
    def subject(self, catalog_client: TierClient) -> HttpCatalog:
        return HttpCatalog(catalog_client)


class TestPairedHttpCatalog(CatalogContract):
    """As the order tier has it."""

    @pytest.fixture
    def subject(self, orders: OrderStore, catalog_client: TierClient) -> PairedCatalog:
        return PairedCatalog(orders, HttpCatalog(catalog_client))


class TestHttpOrders(OrdersContract):
    """In front of an order tier, which is in front of a catalog tier: the whole way of a buy."""

    @pytest.fixture
    def subject(self, orders: OrderStore, catalog_client: TierClient) -> Iterator[HttpOrders]:
        catalog = PairedCatalog(orders, HttpCatalog(catalog_client))
        checkout = PairedCheckout(LimitedCheckout(orders, catalog, RefusalLimit(1_000)), catalog)
        with tier(served_by(OrderApp(checkout))) as client:
            yield HttpOrders(client)
