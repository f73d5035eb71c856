"""Whether a tier can do its work, which is not whether it lives."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import apsw
import pytest
from werkzeug.test import Client

from conf.secret import Secrets
from db.catalog import CatalogStore
from db.order import OrderStore
from domain.checkout import Checkout
from domain.errors import Unavailable
from tests.support.waiting import wait_until
from wsgi_apps import ready
from wsgi_apps.bearer_auth import guarded
from wsgi_apps.catalog import CatalogApp
from wsgi_apps.front_end import FrontEndApp
from wsgi_apps.order import OrderApp
from wsgi_apps.ready import Readiness

READY = {"data": {"status": "ready"}}


def works() -> None:
    pass


def is_away() -> None:
    raise Unavailable("does not answer")


def test_every_tier_that_needs_nothing_else_is_ready(catalog: CatalogStore, checkout: Checkout) -> None:
    for app in (FrontEndApp(catalog, checkout), OrderApp(checkout), CatalogApp(catalog)):
        response = Client(app).get("/ready")
        assert (response.status_code, response.json) == (200, READY)
        assert Client(app).head("/ready").status_code == 200
        assert Client(app).post("/ready").status_code == 405


def test_what_is_away_is_named_and_the_tier_lives_all_the_same(catalog: CatalogStore, checkout: Checkout) -> None:
    parts = {"catalog": works, "order tier": is_away}
    client = Client(FrontEndApp(catalog, checkout, readiness=Readiness(parts, timeout_s=5.0)))
    response = client.get("/ready")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert response.json == {"error": {"code": 503, "message": "not ready: order tier: does not answer"}}
    assert client.get("/health").status_code == 200


def test_all_that_is_away_is_named(checkout: Checkout) -> None:
    def breaks() -> None:
        raise ZeroDivisionError("a mistake of ours")

    readiness = Readiness({"order.db": breaks, "catalog": is_away}, timeout_s=5.0)
    message = Client(OrderApp(checkout, readiness)).get("/ready").json["error"]["message"]  # type: ignore[index]
    assert message == "not ready: order.db: fails; catalog: does not answer"


def test_however_many_ask_a_part_is_tried_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []
    monkeypatch.setattr(ready, "HOLDS_S", 60.0)
    readiness = Readiness({"catalog": lambda: tried.append(time.monotonic())}, timeout_s=5.0)
    with ThreadPoolExecutor(16) as pool:
        looks = [pool.submit(lambda: readiness.look().result(10)) for _ in range(500)]
        assert [look.result(10) for look in looks] == [{}] * 500
    assert len(tried) == 1


def test_an_answer_does_not_hold_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ready, "HOLDS_S", 0.0)
    states: Iterator[Callable[[], None]] = iter([works, is_away, works])
    readiness = Readiness({"catalog": lambda: next(states)()}, timeout_s=5.0)
    assert [readiness.look().result(10) for _ in range(3)] == [{}, {"catalog": "does not answer"}, {}]


def test_a_part_that_hangs_is_away_in_time_and_is_not_tried_again_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ready, "HOLDS_S", 0.0)
    released, tried = threading.Event(), []

    def hangs() -> None:
        tried.append(1)
        released.wait(30)

    readiness = Readiness({"catalog.db": hangs, "order tier": works}, timeout_s=0.1)
    try:
        for _ in range(3):
            assert readiness.look().result(10) == {"catalog.db": "does not answer"}
        assert len(tried) == 1
    finally:
        released.set()
    wait_until("it is back", lambda: readiness.look().result(10) == {}, timeout_s=10)


def test_whoever_asks_does_not_wait_in_the_thread_that_serves_all(catalog: CatalogStore, checkout: Checkout) -> None:
    released = threading.Event()
    readiness = Readiness({"catalog": lambda: released.wait(30)}, timeout_s=20.0)
    begun = time.monotonic()
    later = readiness.reply()
    assert time.monotonic() - begun < 5.0
    assert not later.coming.done()
    released.set()
    assert later.wait().body == READY


@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_whoever_watches_over_a_tier_needs_no_secret(checkout: Checkout, path: str) -> None:
    client = Client(guarded(OrderApp(checkout), Secrets(("s" * 32,))))
    assert client.get(path).status_code == 200
    assert client.get(f"{path}/x").status_code == 401


def test_a_disk_that_takes_no_writes_makes_its_tier_not_ready(
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
    assert client.get("/products/Tux").status_code == 200, "and it lives, and can be read"
    store.close()
    vfs.unregister()


def test_to_try_the_disk_changes_nothing_and_writes_something(catalog: CatalogStore, tmp_path: Path) -> None:
    log = tmp_path / "catalog.db-wal"
    before, page = os.path.getsize(log), catalog.products(limit=10)
    catalog.require_writable()
    assert os.path.getsize(log) > before
    assert catalog.products(limit=10) == page


def test_a_database_that_somebody_else_has_locked_is_away(catalog: CatalogStore, tmp_path: Path) -> None:
    other = apsw.Connection(str(tmp_path / "catalog.db"))
    other.execute("BEGIN IMMEDIATE")
    try:
        readiness = Readiness({"catalog.db": catalog.require_writable}, timeout_s=5.0)
        assert Client(CatalogApp(catalog, readiness=readiness)).get("/ready").status_code == 503
    finally:
        other.execute("ROLLBACK")
        other.close()
