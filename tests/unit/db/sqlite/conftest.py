"""Fixtures of the tests of db/: a database with one table, a migration, and stores with a history."""

import shutil
from pathlib import Path

import pytest

from db.sqlite.backup import backup
from db.sqlite.catalog import CatalogStore
from db.sqlite.database import Database
from db.sqlite.order import OrderStore
from db.sqlite.product_admin import ProductAdmin
from db.sqlite.staging import create_private
from domain.checkout import Checkout
from domain.errors import Refused
from domain.values import Buy, Product
from tests.support.backups import no_progress


@pytest.fixture
def database(tmp_path: Path) -> Database:
    """A new database with the table t (x)."""
    create_private(tmp_path / "t.db")
    database = Database(tmp_path / "t.db")
    with database.write() as transaction:
        transaction.execute("CREATE TABLE t (x)")
    return database


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    """A folder with one migration, which creates the table t (x)."""
    folder = tmp_path / "migrations"
    folder.mkdir()
    (folder / "0001_first.sql").write_text("CREATE TABLE t (x); INSERT INTO t VALUES (1);")
    return folder


@pytest.fixture
def books(tmp_path: Path, checkout: Checkout, catalog: CatalogStore, orders: OrderStore) -> Path:
    """A closed store: ten orders of Tux (k0 to k9), four refused buys, a direct decrement, and changes by the owner."""
    for number in range(10):
        checkout.place(Buy(f"k{number}", "Tux", 2))
    for key, name in (("no0", "Tux"), ("no1", "Unicorn"), ("no2", "Bird"), ("no3", "Whale")):
        with pytest.raises(Refused):
            checkout.place(Buy(key, name, 1_000))
    catalog.decrement(Buy("direct", "Bird", 1))
    owner = ProductAdmin(tmp_path / "catalog.db")
    owner.restock("Bird", 5, "more")
    owner.add(Product("Cat", 100, 0), "cat")
    owner.price("Cat", 200, "dearer")
    owner.retire("Whale", "gone")
    owner.close()
    catalog.close()
    orders.close()
    return tmp_path


def create_store(folder: Path) -> tuple[CatalogStore, OrderStore]:
    """Creates a store with 80 pieces of Tux in a new folder."""
    folder.mkdir()
    catalog, orders = CatalogStore(folder / "catalog.db"), OrderStore(folder / "order.db")
    catalog.migrate()
    orders.migrate()
    owner = ProductAdmin(folder / "catalog.db")
    owner.add(Product("Tux", 2599, 80), "first")
    owner.close()
    return catalog, orders


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The folder of the store in `shop`; the test's own folder is for its backups."""
    return tmp_path / "data"


@pytest.fixture
def shop(data: Path) -> Checkout:
    """An open store with three orders (k0 to k2) in the folder `data`."""
    catalog, orders = create_store(data)
    shop = Checkout(orders, catalog)
    for number in range(3):
        shop.place(Buy(f"k{number}", "Tux", 1))
    return shop


@pytest.fixture
def crashed(tmp_path: Path) -> Path:
    """A store after kill -9, whose commits are still in its WALs. The folder `b` has its backup, five buys older."""
    live = tmp_path / "live"
    catalog, orders = create_store(live)
    checkout = Checkout(orders, catalog)
    for number in range(3):
        checkout.place(Buy(f"before{number}", "Tux", 1))
    assert backup(live, tmp_path / "b", no_progress).is_clean
    for number in range(5):
        checkout.place(Buy(f"after{number}", "Tux", 1))
    shutil.copytree(live, tmp_path / "data", ignore=shutil.ignore_patterns("*-shm"))
    catalog.close()
    orders.close()
    return tmp_path / "data"
