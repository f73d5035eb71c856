"""The stores on PostgreSQL against the model of the stores on SQLite."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, ClassVar

import psycopg
import pytest
from hypothesis import HealthCheck, settings

from db.postgres import catalog, order
from db.postgres.catalog import CatalogStore
from db.postgres.copies.copy_out import copy_out
from db.postgres.copies.moment import Addresses
from db.postgres.database import Database
from db.postgres.order import OrderStore
from db.postgres.owner_catalog import OwnerCatalogStore
from domain.values import Product
from tests.support.books import Books
from tests.support.postgres import TestServer
from tests.support.postgres_reset import Reset, resettable
from tests.support.store_machine import PRODUCTS, StoreMachine, Stores

Shell = psycopg.Connection[tuple[Any, ...]]


def create(address: str) -> None:
    """Creates a store with PRODUCTS and an empty log."""
    with closing(Database(address, catalog.SCHEMA)) as products, closing(Database(address, order.SCHEMA)) as log:
        CatalogStore(products).migrate()
        assert CatalogStore(products).load([Product(name, 100, pieces) for name, pieces in PRODUCTS.items()])
        OrderStore(log).migrate()


class PostgresMachine(StoreMachine):
    """The stores on one database, which is set back for each history."""

    address: ClassVar[str]
    shell: ClassVar[Shell]
    reset: ClassVar[Reset]

    def create_stores(self) -> None:
        self.reset()

    def open_stores(self) -> Stores:
        self.products, self.log = Database(self.address, catalog.SCHEMA), Database(self.address, order.SCHEMA)
        return Stores(CatalogStore(self.products), OrderStore(self.log), OwnerCatalogStore(self.products))

    def close_stores(self) -> None:
        self.products.close()
        self.log.close()

    def query(self, schema: str, sql: str) -> list[Any]:
        self.shell.execute(f"SET search_path TO {schema}".encode())
        return self.shell.execute(sql.encode()).fetchall()

    def read_books(self) -> Books:
        return Books.read_by(lambda sql: self.query(catalog.SCHEMA, sql), lambda sql: self.query(order.SCHEMA, sql))

    def check_and_remove(self) -> None:
        """Audits a copy of the books. The next history begins with what `reset` puts back."""
        with tempfile.TemporaryDirectory() as folder:
            audit = copy_out(Addresses(self.address, self.address), Path(folder) / "copy", lambda _line: None)
            assert audit.discrepancies == ()


@pytest.fixture(scope="module", autouse=True)
def store(postgres_server: TestServer) -> Iterator[None]:
    """The database of all histories."""
    with ExitStack() as stack:
        PostgresMachine.address = stack.enter_context(postgres_server.database(create))
        PostgresMachine.shell = stack.enter_context(psycopg.connect(PostgresMachine.address, autocommit=True))
        PostgresMachine.reset = stack.enter_context(resettable(PostgresMachine.address, catalog.SCHEMA, order.SCHEMA))
        yield


TestStore = PostgresMachine.TestCase
TestStore.settings = settings(
    max_examples=20, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
