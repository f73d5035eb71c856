"""Adds the crash points to the real tiers by patching the stores, their clients and SQLite's VFS."""

import threading
from collections.abc import Sequence
from typing import Any

import apsw

from db.sqlite.catalog import CatalogStore
from db.sqlite.order import OrderStore
from domain.checkout import Checkout
from domain.errors import Unavailable
from domain.protocols import Placed, Sale
from domain.returns import Return, ReturnOutcome, Returns, SaleReturn, TakeBack
from domain.values import Buy
from tests.faults.crashes.points import crash, crash_in_transaction, transaction
from tests.faults.vfs import PassthroughVFS
from wsgi_apps.clients import HttpCatalog, HttpOrders


class _Thread(threading.local):
    prefix = ""  # "settle-" while this thread settles buys or returns in doubt


_thread = _Thread()


def wire_front_end() -> None:
    """Adds the points around the call of the order tier."""
    place_all = HttpOrders.place_all

    def crashing(self: HttpOrders, buys: Sequence[Buy], timeout_s: float | None = None) -> list[Placed]:
        crash("front-call.before")
        placed = place_all(self, buys, timeout_s)
        crash("front-call.after")
        return placed

    _replace(HttpOrders, "place_all", crashing)


def wire_order() -> None:
    """Adds the points of the order tier to buys and returns."""
    _wire_buys()
    _wire_returns()
    wire_sqlite()


def _wire_buys() -> None:
    """Adds the points of both transactions of a buy, of the call of the catalog, and of the recovery."""
    begin, finish, sell, settle = OrderStore.begin, OrderStore.finish, HttpCatalog.sell, Checkout.settle

    def crashing_begin(self: OrderStore, buys: Sequence[Buy]) -> list[Placed | None]:
        with transaction("intent"):
            return begin(self, buys)

    def crashing_finish(self: OrderStore, sales: Sequence[tuple[Buy, Sale]]) -> list[Placed]:
        with transaction(f"{_thread.prefix}finish"):
            return finish(self, sales)

    def crashing_sell(
        self: HttpCatalog, buys: Sequence[Buy], timeout_s: float | None = None, **options: Any
    ) -> Sequence[Sale | Unavailable]:
        crash(f"{_thread.prefix}call.before")
        sales = sell(self, buys, timeout_s, **options)
        crash(f"{_thread.prefix}call.after")
        return sales

    def crashing_settle(self: Checkout, buys: Sequence[Buy]) -> None:
        _thread.prefix = "settle-"
        try:
            settle(self, buys)
        finally:
            _thread.prefix = ""

    _replace(OrderStore, "begin", crashing_begin)
    _replace(OrderStore, "finish", crashing_finish)
    _replace(HttpCatalog, "sell", crashing_sell)
    _replace(Checkout, "settle", crashing_settle)


def _wire_returns() -> None:
    """Adds the same points to returns."""
    begin, finish = OrderStore.begin_returns, OrderStore.finish_returns
    take_back, settle = HttpCatalog.take_back, Returns.settle

    def crashing_begin(self: OrderStore, returns: Sequence[Return]) -> list[SaleReturn | ReturnOutcome]:
        with transaction("return-intent"):
            return begin(self, returns)

    def crashing_finish(self: OrderStore, taken: Sequence[tuple[SaleReturn, TakeBack]]) -> list[ReturnOutcome]:
        with transaction(f"{_thread.prefix}return-finish"):
            return finish(self, taken)

    def crashing_take_back(
        self: HttpCatalog, returns: Sequence[SaleReturn], timeout_s: float | None = None, **options: Any
    ) -> Sequence[TakeBack | Unavailable]:
        crash(f"{_thread.prefix}return-call.before")
        taken = take_back(self, returns, timeout_s, **options)
        crash(f"{_thread.prefix}return-call.after")
        return taken

    def crashing_settle(self: Returns, returns: Sequence[SaleReturn]) -> None:
        _thread.prefix = "settle-"
        try:
            settle(self, returns)
        finally:
            _thread.prefix = ""

    _replace(OrderStore, "begin_returns", crashing_begin)
    _replace(OrderStore, "finish_returns", crashing_finish)
    _replace(HttpCatalog, "take_back", crashing_take_back)
    _replace(Returns, "settle", crashing_settle)


def wire_catalog() -> None:
    """Adds the points around and within the transactions of a sale and of a return."""
    sell, take_back = CatalogStore.sell, CatalogStore.take_back

    def crashing(self: CatalogStore, buys: Sequence[Buy], timeout_s: float | None = None, **options: Any) -> list[Sale]:
        with transaction("sale"):
            return sell(self, buys, timeout_s, **options)

    def crashing_take_back(
        self: CatalogStore, returns: Sequence[SaleReturn], timeout_s: float | None = None, **options: Any
    ) -> list[TakeBack]:
        with transaction("take-back"):
            return take_back(self, returns, timeout_s, **options)

    _replace(CatalogStore, "sell", crashing)
    _replace(CatalogStore, "take_back", crashing_take_back)
    wire_sqlite()


def wire_sqlite() -> None:
    """Adds points inside SQLite: after a row, before a commit writes, and after it has written but not synced."""
    apsw.connection_hooks.append(_add_hooks)
    _disks.append(_CrashingDisk("crashing"))


# Keeps a reference: SQLite keeps none, and uses the VFS as long as the process lives.
_disks: list[apsw.VFS] = []


def _add_hooks(connection: apsw.Connection) -> None:
    """Adds the points after a row and before a commit to a new connection."""

    def before_commit() -> bool:
        crash_in_transaction("commit")
        return False  # lets the commit go on

    connection.set_update_hook(lambda *_: crash_in_transaction("half"))
    connection.set_commit_hook(before_commit)


class _CrashingDisk(PassthroughVFS):
    """Opens files that have a point at each sync."""

    def xOpen(self, name: Any, flags: list[int]) -> "_CrashingFile":
        return _CrashingFile("unix", name, flags)


class _CrashingFile(apsw.VFSFile):
    """A file with a point at each sync."""

    def xLock(self, level: int) -> None:
        try:
            super().xLock(level)
        except apsw.IOError as error:
            # A read-only connection asks, when it closes, for a lock that it cannot have. SQLite ignores that, but apsw
            # would raise any error except a busy one from close().
            raise apsw.BusyError from error

    def xSync(self, flags: int) -> None:
        crash_in_transaction("sync")
        super().xSync(flags)


def _replace(kind: type, method: str, crashing: Any) -> None:
    """Replaces a method of a class, which mypy refuses as a plain assignment."""
    setattr(kind, method, crashing)
