"""The reads of a store on another machine: a machine that is frozen must not hold up the thread of all connections."""

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from werkzeug.test import Client, create_environ

from db.sqlite.catalog import CatalogStore
from domain.checkout import Checkout
from domain.errors import Unavailable
from domain.protocols import Found
from wsgi_apps.base import App
from wsgi_apps.catalog import CatalogApp
from wsgi_apps.order import OrderApp
from wsgi_apps.reply import Deferred
from wsgi_apps.wire import LOOKUPS, RECEIPTS, encode_keys, encode_names


class Frozen:
    """Holds up the given methods of a store until it is thawed, and counts the calls of all methods."""

    def __init__(self, store: Any, *methods: str) -> None:
        self.thawed = threading.Event()
        self.calls: list[str] = []
        self._store = store
        self._methods = methods

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **values: Any) -> Any:
            self.calls.append(name)
            if name in self._methods:
                assert self.thawed.wait(60)
            return getattr(self._store, name)(*arguments, **values)

        return call


@pytest.fixture
def frozen_catalog(catalog: CatalogStore) -> Iterator[Frozen]:
    frozen = Frozen(catalog, "lookup")
    yield frozen
    frozen.thawed.set()


@pytest.fixture
def frozen_orders(checkout: Checkout, bought: None) -> Iterator[Frozen]:
    """It has order 0."""
    frozen = Frozen(checkout, "order", "find")
    yield frozen
    frozen.thawed.set()


def call(app: App, path: str, body: bytes | None = None) -> Any:
    """Calls the app as a server does that serves all connections in one thread, and returns what the app returns."""
    method = "GET" if body is None else "POST"
    return app(create_environ(path, method=method, data=body), lambda *_: lambda _: None)


@pytest.mark.parametrize(("path", "body"), [("/products/Tux", None), (LOOKUPS, encode_names(["Tux"]))])
def test_a_frozen_database_holds_up_neither_a_query_of_the_catalog_nor_its_health(
    frozen_catalog: Frozen, path: str, body: bytes | None
) -> None:
    app = CatalogApp(frozen_catalog, is_remote=True)
    waiting = call(app, path, body)
    assert isinstance(waiting, Deferred) and not waiting.future.done()
    assert Client(app).get("/health").status_code == 200
    frozen_catalog.thawed.set()
    assert b"Tux" in b"".join(waiting)


@pytest.mark.parametrize(("path", "body"), [("/orders/0", None), (RECEIPTS, encode_keys(["k"]))])
def test_a_frozen_database_holds_up_neither_a_query_of_the_orders_nor_their_health(
    frozen_orders: Frozen, path: str, body: bytes | None
) -> None:
    app = OrderApp(frozen_orders, is_remote=True)
    waiting = call(app, path, body)
    assert isinstance(waiting, Deferred) and not waiting.future.done()
    assert Client(app).get("/health").status_code == 200
    frozen_orders.thawed.set()
    assert b"Tux" in b"".join(waiting)


def test_the_health_of_a_tier_does_not_depend_on_another_machine(catalog: CatalogStore, checkout: Checkout) -> None:
    """A restart of the tier would not bring the machine back. With a file, health reads it, as before."""
    for store, app in ((catalog, CatalogApp), (checkout, OrderApp)):
        for is_remote in (True, False):
            counted = Frozen(store)
            assert Client(app(counted, is_remote=is_remote)).get("/health").status_code == 200
            assert bool(counted.calls) is not is_remote


def test_the_reads_of_a_frozen_database_are_refused_when_too_many_wait(
    frozen_catalog: Frozen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsgi_apps.queries.MAX_QUEUED_READS", 1)
    app = CatalogApp(frozen_catalog, is_remote=True)
    waiting = [call(app, "/products/Tux") for _ in range(3)]  # two in the threads, one in the queue
    response = Client(app).get("/products/Tux")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    frozen_catalog.thawed.set()
    for one in waiting:
        b"".join(one)


def test_a_read_of_a_file_is_answered_in_the_thread_that_asks(catalog: CatalogStore, checkout: Checkout) -> None:
    """The hand-over to another thread would cost more than the read."""
    for app, path in ((CatalogApp(catalog), "/products/Tux"), (OrderApp(checkout), "/orders/0")):
        assert not isinstance(call(app, path), Deferred)


class Away:
    """A store whose reads fail."""

    def lookup(self, names: Sequence[str], timeout_s: float | None = None) -> Sequence[Found]:
        raise Unavailable(retry_after_s=1)


def test_an_outage_of_the_database_is_a_503_that_asks_to_come_again() -> None:
    catalog: Any = Away()
    response = Client(CatalogApp(catalog, is_remote=True)).get("/products/Tux")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
