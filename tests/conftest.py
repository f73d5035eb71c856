"""Fixtures of all tests: fresh databases in a fresh folder, filled with the documented products."""

import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from db.products_file import read_products
from db.sqlite.catalog import CatalogStore
from db.sqlite.order import OrderStore
from db.sqlite.owner_catalog import OwnerCatalogStore
from db.sqlite.owner_orders import OwnerOrderStore
from domain.checkout import Checkout
from domain.returns import Returns
from domain.values import Buy
from tests.support.books import query
from tests.support.forgery import forge
from tests.support.postgres import TestServer

PRODUCTS = Path(__file__).parents[1] / "conf" / "database.txt"


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[CatalogStore]:
    """A catalog with Tux 25.99 80, Whale 34.99 94, Elephant 29.99 87, Bird 39.99 98."""
    store = CatalogStore(tmp_path / "catalog.db")
    store.migrate()
    store.load(read_products(PRODUCTS))
    yield store
    store.close()


@pytest.fixture
def query_catalog(tmp_path: Path, catalog: CatalogStore) -> Callable[[str], list[Any]]:
    """Returns all rows of a query of the catalog, for tests that run on every engine."""
    return partial(query, tmp_path / "catalog.db")


@pytest.fixture
def orders(tmp_path: Path) -> Iterator[OrderStore]:
    """An empty order log."""
    store = OrderStore(tmp_path / "order.db")
    store.migrate()
    yield store
    store.close()


@pytest.fixture
def checkout(orders: OrderStore, catalog: CatalogStore) -> Checkout:
    """A checkout over both databases, in one process."""
    return Checkout(orders, catalog)


@pytest.fixture
def bought(checkout: Checkout) -> None:
    """Order 0: 5 Tux under the key k."""
    assert checkout.place(Buy("k", "Tux", 5)) == 0


@pytest.fixture
def returns(orders: OrderStore, catalog: CatalogStore) -> Returns:
    """Returns over both databases, in one process."""
    return Returns(orders, catalog)


@pytest.fixture
def owner_catalog(tmp_path: Path, catalog: CatalogStore) -> Iterator[OwnerCatalogStore]:
    """The owner's store on the file of `catalog`."""
    store = OwnerCatalogStore(tmp_path / "catalog.db")
    yield store
    store.close()


@pytest.fixture
def owner_orders(tmp_path: Path, orders: OrderStore) -> Iterator[OwnerOrderStore]:
    """The owner's store on the file of `orders`."""
    store = OwnerOrderStore(tmp_path / "order.db")
    yield store
    store.close()


@pytest.fixture
def forge_log(tmp_path: Path, orders: OrderStore) -> Callable[[str], None]:
    """Changes the file of `orders` by hand, past its triggers and checks."""
    return partial(forge, tmp_path / "order.db")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[TestServer]:
    """A PostgreSQL server that all tests of this process share. It starts with the first test that needs it."""
    server = TestServer()
    yield server
    server.stop()


@pytest.fixture
def postgres_address(postgres_server: TestServer) -> Iterator[str]:
    """The address of an empty database on PostgreSQL."""
    with postgres_server.database() as address:
        yield address


# A shell starts background jobs with SIGINT ignored, and children inherit that. Tests send Ctrl-C to their children.
signal.signal(signal.SIGINT, signal.default_int_handler)

# "steady" tries the same examples in each run of CI. --hypothesis-profile=long tries more examples, at random.
settings.register_profile("steady", max_examples=300, derandomize=True, deadline=None)
settings.register_profile("long", max_examples=20_000, deadline=None)
settings.load_profile("steady")
