"""The stores on SQLite against a model in plain Python."""

import tempfile
from contextlib import closing
from pathlib import Path

from hypothesis import HealthCheck, settings

from db.sqlite.catalog import CatalogStore
from db.sqlite.order import OrderStore
from db.sqlite.product_admin import ProductAdmin
from domain.values import Product
from tests.support.audit import findings
from tests.support.books import Books
from tests.support.store_machine import PRODUCTS, StoreMachine, Stores


class SqliteMachine(StoreMachine):
    """The stores on two files in a folder of their own."""

    def create_stores(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name)
        with closing(CatalogStore(self.path / "catalog.db")) as catalog:
            catalog.migrate()
            catalog.load([Product(name, 100, pieces) for name, pieces in PRODUCTS.items()])

    def open_stores(self) -> Stores:
        catalog, orders = CatalogStore(self.path / "catalog.db"), OrderStore(self.path / "order.db")
        catalog.migrate()
        orders.migrate()
        owner = ProductAdmin(self.path / "catalog.db")
        self.opened = (catalog, orders, owner)
        return Stores(catalog, orders, owner)

    def close_stores(self) -> None:
        for store in self.opened:
            store.close()

    def read_books(self) -> Books:
        return Books.read(self.path)

    def check_and_remove(self) -> None:
        with self.folder:
            assert findings(self.path) == []


TestStore = SqliteMachine.TestCase
TestStore.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
