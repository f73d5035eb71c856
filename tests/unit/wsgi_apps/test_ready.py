"""Readiness: a tier is ready when it and everything that it depends on can work."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import apsw
import pytest
from werkzeug.test import Client

from db.sqlite.catalog import CatalogStore
from db.sqlite.order import OrderStore
from domain.checkout import Checkout
from domain.errors import Unavailable
from tests.support.waiting import wait_until
from wsgi_apps import ready
from wsgi_apps.bearer_auth import BearerAuthMiddleware
from wsgi_apps.catalog import CatalogApp
from wsgi_apps.front_end import FrontEndApp
from wsgi_apps.order import OrderApp
from wsgi_apps.ready import Readiness

READY = {"data": {"status": "ready"}}


def works() -> None:
    pass


def is_away() -> None:
    raise Unavailable("does not answer")


def test_a_tier_without_dependencies_is_ready(catalog: CatalogStore, checkout: Checkout) -> None:
    for app in (FrontEndApp(catalog, checkout), OrderApp(checkout), CatalogApp(catalog)):
        response = Client(app).get("/ready")
        assert (response.status_code, response.json) == (200, READY)
        assert Client(app).head("/ready").status_code == 200
        assert Client(app).post("/ready").status_code == 405


def test_a_tier_whose_dependency_is_away_is_not_ready_but_healthy(catalog: CatalogStore, checkout: Checkout) -> None:
    parts = {"catalog": works, "order tier": is_away}
    client = Client(FrontEndApp(catalog, checkout, readiness=Readiness(parts, timeout_s=5.0)))
    response = client.get("/ready")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert response.json == {"error": {"code": 503, "message": "not ready: order tier: does not answer"}}
    assert client.get("/health").status_code == 200


def test_the_error_names_every_part_that_fails(checkout: Checkout) -> None:
    def breaks() -> None:
        raise ZeroDivisionError("a bug")

    readiness = Readiness({"order.db": breaks, "catalog": is_away}, timeout_s=5.0)
    message = Client(OrderApp(checkout, readiness)).get("/ready").json["error"]["message"]  # type: ignore[index]
    assert message == "not ready: order.db: fails; catalog: does not answer"


def test_500_requests_at_once_check_a_part_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []
    monkeypatch.setattr(ready, "RESULT_TTL_S", 60.0)
    readiness = Readiness({"catalog": lambda: tried.append(time.monotonic())}, timeout_s=5.0)
    with ThreadPoolExecutor(16) as pool:
        checks = [pool.submit(lambda: readiness.check().result(10)) for _ in range(500)]
        assert [check.result(10) for check in checks] == [{}] * 500
    assert len(tried) == 1


def test_a_result_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ready, "RESULT_TTL_S", 0.0)
    states: Iterator[Callable[[], None]] = iter([works, is_away, works])
    readiness = Readiness({"catalog": lambda: next(states)()}, timeout_s=5.0)
    assert [readiness.check().result(10) for _ in range(3)] == [{}, {"catalog": "does not answer"}, {}]


def test_a_part_that_hangs_fails_in_time_and_is_not_checked_twice_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ready, "RESULT_TTL_S", 0.0)
    released, tried = threading.Event(), []

    def hangs() -> None:
        tried.append(1)
        released.wait(30)

    readiness = Readiness({"catalog.db": hangs, "order tier": works}, timeout_s=0.1)
    try:
        for _ in range(3):
            assert readiness.check().result(10) == {"catalog.db": "does not answer"}
        assert len(tried) == 1
    finally:
        released.set()
    wait_until("the part works again", lambda: readiness.check().result(10) == {}, timeout_s=10)


def test_a_readiness_check_does_not_block_its_caller() -> None:
    released = threading.Event()
    readiness = Readiness({"catalog": lambda: released.wait(30)}, timeout_s=20.0)
    begun = time.monotonic()
    deferred = readiness.reply()
    assert time.monotonic() - begun < 5.0
    assert not deferred.future.done()
    released.set()
    assert deferred.wait().body == READY


@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_health_and_ready_need_no_secret(checkout: Checkout, path: str) -> None:
    client = Client(BearerAuthMiddleware(OrderApp(checkout), ["s" * 32]))
    assert client.get(path).status_code == 200
    assert client.get(f"{path}/x").status_code == 401


def test_a_tier_with_a_full_disk_is_not_ready_but_answers_queries(
    tmp_path: Path, catalog: CatalogStore, orders: OrderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog.require_writable()
    orders.require_writable()

    class Full(apsw.VFS):
        def __init__(self) -> None:
            super().__init__("full", "")

        def xOpen(self, name: object, flags: list[int]) -> apsw.VFSFile:
            return FullFile("", name, flags)  # type: ignore[arg-type]

    class FullFile(apsw.VFSFile):
        def xWrite(self, data: bytes, offset: int) -> None:
            raise apsw.FullError

    vfs = Full()
    connect = apsw.Connection
    monkeypatch.setattr(apsw, "Connection", lambda path, **options: connect(path, vfs="full", **options))
    store = CatalogStore(tmp_path / "catalog.db")
    client = Client(CatalogApp(store, readiness=Readiness({"catalog.db": store.require_writable}, timeout_s=5.0)))
    message = client.get("/ready").json["error"]["message"]  # type: ignore[index]
    assert message == "not ready: catalog.db: the store cannot reach its data, try again"
    assert client.get("/products/Tux").status_code == 200, "it can still be read"
    store.close()
    vfs.unregister()


def test_the_check_of_the_disk_writes_but_changes_no_data(catalog: CatalogStore, tmp_path: Path) -> None:
    wal = tmp_path / "catalog.db-wal"
    before, page = wal.stat().st_size, catalog.products(limit=10)
    catalog.require_writable()
    assert wal.stat().st_size > before
    assert catalog.products(limit=10) == page


def test_a_tier_with_a_locked_database_is_not_ready(catalog: CatalogStore, tmp_path: Path) -> None:
    other = apsw.Connection(str(tmp_path / "catalog.db"))
    other.execute("BEGIN IMMEDIATE")
    try:
        readiness = Readiness({"catalog.db": catalog.require_writable}, timeout_s=5.0)
        assert Client(CatalogApp(catalog, readiness=readiness)).get("/ready").status_code == 503
    finally:
        other.execute("ROLLBACK")
        other.close()
