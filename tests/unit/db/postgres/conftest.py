"""Fixtures of the tests of db/postgres: a database with one table, a store, and another connection to it."""

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from db.postgres import catalog as catalog_module
from db.postgres import order as order_module
from db.postgres.catalog import CatalogStore
from db.postgres.database import Database
from db.postgres.order import OrderStore
from db.postgres.owner_catalog import OwnerCatalogStore
from db.postgres.owner_orders import OwnerOrderStore
from db.products_file import read_products
from tests.conftest import PRODUCTS
from tests.support.postgres import TestServer

# Long enough for a busy machine, short enough for a test that waits for it.
WAIT_TIMEOUT_S = 1.0


@pytest.fixture
def other(postgres_address: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """A connection of somebody else to the same database, as the superuser and in autocommit mode."""
    with psycopg.connect(postgres_address, autocommit=True) as connection:
        yield connection


@pytest.fixture
def database(postgres_address: str, other: psycopg.Connection) -> Iterator[Database]:
    """A database with the table t (x)."""
    other.execute("CREATE SCHEMA shop CREATE TABLE t (x integer PRIMARY KEY)")
    database = Database(postgres_address, "shop")
    yield database
    database.close()


@pytest.fixture
def hasty(database: Database) -> Iterator[Database]:
    """The same database for who waits only WAIT_TIMEOUT_S for an answer."""
    hasty = Database(database.address, "shop", wait_timeout_s=WAIT_TIMEOUT_S)
    yield hasty
    hasty.close()


@pytest.fixture
def without_standby(postgres_server: TestServer, database: Database) -> Iterator[None]:
    """The server waits at COMMIT for a standby that there is not."""
    with postgres_server.settings(synchronous_standby_names="missing"):
        yield


def fill_store(address: str) -> None:
    """Creates both schemas: an empty log, and the catalog with the documented products."""
    catalog = CatalogStore(Database(address, catalog_module.SCHEMA))
    catalog.migrate()
    assert catalog.load(read_products(PRODUCTS))
    catalog.close()
    OrderStore(Database(address, order_module.SCHEMA)).migrate()


@pytest.fixture
def store_address(postgres_server: TestServer) -> Iterator[str]:
    """The address of a store without orders: Tux 25.99 80, Whale 34.99 94, Elephant 29.99 87, Bird 39.99 98."""
    with postgres_server.database(fill_store) as address:
        yield address


@pytest.fixture
def catalog_database(store_address: str) -> Iterator[Database]:
    """The schema of its catalog."""
    database = Database(store_address, catalog_module.SCHEMA)
    yield database
    database.close()


@pytest.fixture
def catalog(catalog_database: Database) -> CatalogStore:
    """Its catalog."""
    return CatalogStore(catalog_database)


@pytest.fixture
def owner_catalog(catalog_database: Database) -> OwnerCatalogStore:
    """The owner's store of its catalog."""
    return OwnerCatalogStore(catalog_database)


@pytest.fixture
def query_catalog(store_address: str) -> Iterator[Callable[[str], list[Any]]]:
    """Returns all rows of a query of its catalog."""
    with psycopg.connect(store_address, autocommit=True, options="-c search_path=catalog") as connection:
        yield lambda sql: connection.execute(sql.encode()).fetchall()


@pytest.fixture
def query_log(store_address: str) -> Iterator[Callable[[str], list[Any]]]:
    """Returns all rows of a query of its order log."""
    with psycopg.connect(store_address, autocommit=True, options="-c search_path=log") as connection:
        yield lambda sql: connection.execute(sql.encode()).fetchall()


@pytest.fixture
def log_database(store_address: str) -> Iterator[Database]:
    """The schema of its order log."""
    database = Database(store_address, order_module.SCHEMA)
    yield database
    database.close()


@pytest.fixture
def orders(log_database: Database) -> OrderStore:
    """Its order log."""
    return OrderStore(log_database)


@pytest.fixture
def owner_orders(log_database: Database) -> OwnerOrderStore:
    """The owner's store of its order log."""
    return OwnerOrderStore(log_database)


@pytest.fixture
def forge_log(store_address: str) -> Callable[[str], None]:
    """Changes the schema of its order log by hand, past its triggers."""

    def forge(sql: str) -> None:
        with psycopg.connect(store_address, options="-c session_replication_role=replica") as superuser:
            superuser.execute("SET search_path TO log")
            superuser.execute(sql.encode())

    return forge
