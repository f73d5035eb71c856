"""Chooses the stores of a tier by its settings: on PostgreSQL where it has the address of a database, else in a file.

Nothing is opened here. The package psycopg is imported only where an address is set.
"""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from conf.settings import Settings
from db.sqlite.catalog import CatalogStore as CatalogInFile
from db.sqlite.order import OrderStore as OrdersInFile
from db.sqlite.owner_catalog import OwnerCatalogStore as OwnerCatalogInFile
from db.sqlite.owner_orders import OwnerOrderStore as OwnerOrdersInFile
from db.sqlite.pairing import CATALOG_NAME, LOG_NAME, require_matching
from db.start import StartRefused
from domain.owner import BookKeeping, LastAudit, OwnerCatalog
from domain.protocols import Catalog, OrderLog
from domain.returns import ReturnLog
from domain.values import Product
from wsgi_apps.book_keeper import BookKeeper, PostgresBookKeeper
from wsgi_apps.owner_orders import EncodedBooks
from wsgi_apps.pairing import PairingLog

# Added to the niceness of an audit or a backup that the owner's desk begins.
AUDIT_NICENESS = 5


class State(Protocol):
    """The state of a tier, on either engine."""

    def migrate(self) -> None:
        """Brings the state to the newest schema. Raises StartRefused or StartPostponed."""

    def require_writable(self) -> None:
        """Raises Unavailable when nothing can be written."""

    def close(self) -> None:
        """Closes connections."""


class CatalogStore(Catalog, State, Protocol):
    """The catalog as its tier has it, on either engine."""

    def is_empty(self) -> bool:
        """Whether there is no product yet."""

    def load(self, products: Iterable[Product]) -> bool:
        """Adds the first products, all or none. Returns False, and adds nothing, when there are products already."""


class OrderStore(OrderLog, ReturnLog, PairingLog, State, Protocol):
    """The order log as its tier has it, on either engine."""


@dataclass(frozen=True, slots=True)
class CatalogStores:
    """The stores of the catalog tier. A read of one that `is_remote` may wait for a network."""

    store: CatalogStore
    owner: OwnerCatalog
    is_remote: bool
    state: str  # what /ready calls it


@dataclass(frozen=True, slots=True)
class OrderStores:
    """The stores of the order tier. A read of one that `is_remote` may wait for a network."""

    store: OrderStore
    owner: EncodedBooks
    keeper: BookKeeping
    is_remote: bool
    state: str  # what /ready calls it


def catalog_stores(settings: Settings) -> CatalogStores:
    """Returns the stores of the catalog tier. Raises StartRefused when its database cannot be used."""
    if settings.catalog_database is None:
        path, require = settings.data_dir / CATALOG_NAME, _require_matching(settings, CATALOG_NAME)
        owner = OwnerCatalogInFile(path, require=require)
        return CatalogStores(CatalogInFile(path, require=require), owner, is_remote=False, state=CATALOG_NAME)
    with _needing_postgres("CATALOG_DATABASE"):
        from db.postgres import catalog
        from db.postgres.database import Database
        from db.postgres.owner_catalog import OwnerCatalogStore
    require_address(settings.catalog_database, "CATALOG_DATABASE")
    database = Database(settings.catalog_database, catalog.SCHEMA, settings.database_connections)
    return CatalogStores(
        catalog.CatalogStore(database), OwnerCatalogStore(database), is_remote=True, state="catalog's database"
    )


def order_stores(settings: Settings) -> OrderStores:
    """Returns the stores of the order tier. Raises StartRefused when its database cannot be used."""
    if settings.order_database is None:
        path, require = settings.data_dir / LOG_NAME, _require_matching(settings, LOG_NAME)
        owner = OwnerOrdersInFile(path, require=require)
        keeper = _book_keeper(settings)
        return OrderStores(OrdersInFile(path, require=require), owner, keeper, is_remote=False, state=LOG_NAME)
    with _needing_postgres("ORDER_DATABASE"):
        from db.postgres import order
        from db.postgres.database import Database
        from db.postgres.last_audit import read_last_audit
        from db.postgres.owner_orders import OwnerOrderStore
    require_address(settings.order_database, "ORDER_DATABASE")
    database = Database(settings.order_database, order.SCHEMA, settings.database_connections)
    store, owner_store = order.OrderStore(database), OwnerOrderStore(database)
    keeper = _book_keeper(settings, lambda: read_last_audit(database))
    return OrderStores(store, owner_store, keeper, is_remote=True, state="order log's database")


def require_catalog_file(settings: Settings) -> str | None:
    """Checks the catalog's file before the tier starts on it, see `require_matching`. Returns a warning, if any."""
    return None if settings.catalog_database is not None else _require_matching(settings, CATALOG_NAME)()


def require_order_file(settings: Settings) -> str | None:
    """Checks the order log's file before the tier starts on it, see `require_matching`. Returns a warning, if any."""
    return None if settings.order_database is not None else _require_matching(settings, LOG_NAME)()


def require_address(address: str, variable: str) -> None:
    """Raises StartRefused when libpq cannot read the address in this setting. The error does not show it."""
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    try:
        conninfo_to_dict(address)
    except ProgrammingError:
        raise StartRefused(f"{variable} is no address that PostgreSQL's libpq reads") from None


def describe_address(address: str) -> str:
    """Returns hosts, ports and database of an address of PostgreSQL, without the role and its password."""
    from db.postgres.connection import describe

    return describe(address)


@contextmanager
def _needing_postgres(variable: str) -> Iterator[None]:
    """Raises StartRefused where the block cannot import psycopg."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise StartRefused(f"{variable} is set, which needs the package {error.name}: make install-postgres") from error


def _require_matching(settings: Settings, name: str) -> Callable[[], str | None]:
    """Returns the check that a file must pass before its first use. One on PostgreSQL has no other file beside it."""
    has_other = (settings.order_database if name == CATALOG_NAME else settings.catalog_database) is None
    return lambda: require_matching(settings.data_dir, name, has_other=has_other)


def _book_keeper(settings: Settings, last_audit: Callable[[], LastAudit | None] = lambda: None) -> BookKeeper:
    """Returns who audits and backs up for the owner. That ends with this process, and yields to buys.

    `last_audit` reads the record of an audit on PostgreSQL.
    """
    with_us = [sys.executable, "-m", "conf.with_parent", str(os.getpid()), "SIGINT"]
    nicely = ["nice", "-n", str(AUDIT_NICENESS)]
    if settings.order_database is None and settings.catalog_database is None:
        command = [*nicely, "env", f"DATA_DIR={settings.books_dir}", *with_us, "admin"]
        return BookKeeper(command, settings.books_dir, settings.backup_dir)
    addresses = {"CATALOG_DATABASE": settings.catalog_database, "ORDER_DATABASE": settings.order_database}
    lacks = next((variable for variable, address in addresses.items() if address is None), None)
    return PostgresBookKeeper([*nicely, *with_us, "admin"], settings.backup_dir, last_audit, lacks)
