"""The fixtures of the desk's tests: a desk over the owner's stores, whose owner has logged in."""

from collections.abc import Sequence

import pytest

from db.sqlite.catalog import CatalogStore
from db.sqlite.order import OrderStore
from db.sqlite.owner_catalog import OwnerCatalogStore
from db.sqlite.owner_orders import OwnerOrderStore
from domain.owner import Backup, Books, BuysPage, LastAudit, LogCursor, LoggedReturn, Selection, Takings
from domain.returns import Returns
from tests.support.desk import DeskClient
from wsgi_apps.pages.desk.rules import Services


class OrdersWithBookKeeping:
    """The owner's order log, with an audit and backups that are made at once."""

    def __init__(self, store: OwnerOrderStore) -> None:
        self._store = store
        self.made: list[Backup] = []
        self.by_key: dict[str, Backup] = {}
        self.last_audit: LastAudit | None = None
        self.next_audit = LastAudit("2026-11-28T12:00:00.000Z", True, (), "2026-11-28T12:00:00.000Z")

    def logged_buys(self, selection: Selection, *, before: LogCursor | None = None, limit: int) -> BuysPage:
        return self._store.logged_buys(selection, before=before, limit=limit)

    def returns_of(self, number: int) -> Sequence[LoggedReturn]:
        return self._store.returns_of(number)

    def takings(self, selection: Selection) -> Sequence[Takings]:
        return self._store.takings(selection)

    def books(self) -> Books:
        books = self._store.books()
        return Books(
            books.orders, books.refused, books.returns, books.in_doubt, books.oldest_in_doubt, books.bytes_by_file,
            self.last_audit,
        )  # fmt: skip

    def audit(self) -> LastAudit:
        self.last_audit = self.next_audit
        return self.last_audit

    def backups(self) -> Sequence[Backup]:
        return self.made

    def back_up(self, key: str) -> Backup:
        if key not in self.by_key:
            made = Backup(f"2026-11-28T12-00-0{len(self.made)}Z", "2026-11-28T12:00:00Z", 123_456)
            self.by_key[key] = made
            self.made.insert(0, made)
        return self.by_key[key]


@pytest.fixture
def bookkeeping(owner_orders: OwnerOrderStore) -> OrdersWithBookKeeping:
    return OrdersWithBookKeeping(owner_orders)


@pytest.fixture
def services(
    owner_catalog: OwnerCatalogStore, bookkeeping: OrdersWithBookKeeping, orders: OrderStore, catalog: CatalogStore
) -> Services:
    """The parts of a store with the documented products."""
    return Services(owner_catalog, bookkeeping, Returns(orders, catalog))


@pytest.fixture
def desk(services: Services) -> DeskClient:
    """A desk over that store, in euros."""
    return DeskClient(services)
