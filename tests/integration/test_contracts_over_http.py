"""The clients of the tiers pass the contracts of the stores behind them, over HTTP in one process."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from db.sqlite.catalog import CatalogStore
from db.sqlite.order import OrderStore
from db.sqlite.owner_catalog import OwnerCatalogStore
from db.sqlite.owner_orders import OwnerOrderStore
from domain.checkout import Checkout
from domain.limited_checkout import LimitedCheckout
from domain.refusal_limit import RefusalLimit
from domain.returns import Returns
from tests.contracts.catalog import CatalogContract
from tests.contracts.orders import OrdersContract
from tests.contracts.owner_catalog import OwnerCatalogContract
from tests.contracts.owner_orders import OrderBooksContract
from tests.contracts.returns import OwnerReturnsContract, ReturnCatalogContract
from tests.support.owner_tiers import app_of_owner_orders, owners_client
from tests.support.stub_server import answer_from, tier
from wsgi_apps.book_keeper import BookKeeper
from wsgi_apps.catalog import CatalogApp
from wsgi_apps.clients import HttpCatalog, HttpOrders, HttpReturns
from wsgi_apps.order import OrderApp
from wsgi_apps.owner_catalog import OwnerCatalogCalls
from wsgi_apps.owner_clients import HttpOwnerCatalog, HttpOwnerOrders
from wsgi_apps.pairing import PairedCatalog, PairedCheckout, PairedReturns
from wsgi_apps.tier_client import TierClient


@pytest.fixture
def catalog_client(catalog: CatalogStore) -> Iterator[TierClient]:
    with tier(answer_from(CatalogApp(catalog))) as client:
        yield client


class TestHttpCatalog(CatalogContract, ReturnCatalogContract):
    """The client of a catalog tier."""

    @pytest.fixture
    def subject(self, catalog_client: TierClient) -> HttpCatalog:
        return HttpCatalog(catalog_client)


class TestPairedHttpCatalog(CatalogContract, ReturnCatalogContract):
    """The client of a catalog tier that the order tier uses: it checks the pairing too."""

    @pytest.fixture
    def subject(self, orders: OrderStore, catalog_client: TierClient) -> PairedCatalog:
        return PairedCatalog(orders, HttpCatalog(catalog_client))


class TestHttpOrders(OrdersContract):
    """The client of an order tier that calls a catalog tier: the whole path of a buy."""

    @pytest.fixture
    def subject(self, orders: OrderStore, catalog_client: TierClient) -> Iterator[HttpOrders]:
        catalog = PairedCatalog(orders, HttpCatalog(catalog_client))
        checkout = PairedCheckout(LimitedCheckout(orders, catalog, RefusalLimit(1_000)), catalog)
        with tier(answer_from(OrderApp(checkout))) as client:
            yield HttpOrders(client)


class TestHttpReturns(OwnerReturnsContract):
    """The owner's client of an order tier that calls a catalog tier: the whole path of a return."""

    @pytest.fixture
    def subject(self, orders: OrderStore, checkout: Checkout, catalog_client: TierClient) -> Iterator[HttpReturns]:
        catalog = PairedCatalog(orders, HttpCatalog(catalog_client))
        app = OrderApp(checkout, returns=PairedReturns(Returns(orders, catalog), catalog))
        with owners_client(app) as client:
            yield HttpReturns(client)


class TestHttpOwnerCatalog(OwnerCatalogContract):
    """The owner's client of a catalog tier."""

    @pytest.fixture
    def subject(self, catalog: CatalogStore, owner_catalog: OwnerCatalogStore) -> Iterator[HttpOwnerCatalog]:
        app = CatalogApp(catalog, owner_rules=OwnerCatalogCalls(owner_catalog).rules())
        with owners_client(app) as client:
            yield HttpOwnerCatalog(client)


class TestHttpOwnerOrders(OrderBooksContract):
    """The owner's client of an order tier."""

    @pytest.fixture
    def subject(self, history: None, owner_orders: OwnerOrderStore, tmp_path: Path) -> Iterator[HttpOwnerOrders]:
        keeper = BookKeeper([], tmp_path, tmp_path / "backups")
        with owners_client(app_of_owner_orders(owner_orders, keeper)) as client:
            yield HttpOwnerOrders(client, client)
