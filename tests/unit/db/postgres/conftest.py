"""Fixtures of the tests of db/postgres: a database with one table, and another connection to it."""

from collections.abc import Iterator

import psycopg
import pytest

from db.postgres.catalog import SCHEMA, CatalogStore
from db.postgres.database import Database
from db.postgres.owner_catalog import OwnerCatalogStore
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


def fill_catalog(address: str) -> None:
    """Creates the schema of the catalog with the documented products."""
    database = Database(address, SCHEMA)
    store = CatalogStore(database)
    store.migrate()
    assert store.load(read_products(PRODUCTS))
    store.close()


@pytest.fixture
def catalog_address(postgres_server: TestServer) -> Iterator[str]:
    """The address of a database whose catalog has Tux 25.99 80, Whale 34.99 94, Elephant 29.99 87, Bird 39.99 98."""
    with postgres_server.database(fill_catalog) as address:
        yield address


@pytest.fixture
def catalog_database(catalog_address: str) -> Iterator[Database]:
    """The schema of that catalog."""
    database = Database(catalog_address, SCHEMA)
    yield database
    database.close()


@pytest.fixture
def catalog(catalog_database: Database) -> CatalogStore:
    """That catalog."""
    return CatalogStore(catalog_database)


@pytest.fixture
def owner_catalog(catalog_database: Database) -> OwnerCatalogStore:
    """The owner's store of that catalog."""
    return OwnerCatalogStore(catalog_database)
