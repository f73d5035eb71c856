"""Pages that take long, and who waits for them: other pages, up to a number, and nobody else."""

import threading
from collections.abc import Iterable, Iterator

import pytest
from werkzeug.test import Client, create_environ

from db.catalog import CatalogStore
from domain.checkout import Checkout
from wsgi_apps import catalog as catalog_tier
from wsgi_apps import front_end as front_end_tier
from wsgi_apps.base import App
from wsgi_apps.catalog import CatalogApp
from wsgi_apps.front_end import FrontEndApp
from wsgi_apps.reply import Deferred

KEY = {"Idempotency-Key": "k"}


class SlowPages(CatalogStore):
    """A catalog whose pages come once they are let go."""

    def __init__(self, store: CatalogStore) -> None:
        super().__init__(store._database.path)
        self.let_go = threading.Event()
        self.under_way: list[str] = []
        self.most_at_once = 0

    def products(self, *, q: str = "", after: str = "", limit: int) -> bytes:
        self.under_way.append(q)
        self.most_at_once = max(self.most_at_once, len(self.under_way))
        self.let_go.wait(timeout=30)
        self.under_way.pop()
        return super().products(q=q, after=after, limit=limit)


@pytest.fixture
def slow(catalog: CatalogStore) -> Iterator[SlowPages]:
    store = SlowPages(catalog)
    yield store
    store.let_go.set()
    store.close()


def ask(app: App, path: str) -> tuple[list[str], Iterable[bytes]]:
    """What a server gets that does not wait: the status to come, and the answer."""
    statuses: list[str] = []

    def start_response(status: str, headers: object, exc_info: object = None) -> object:
        statuses.append(status)
        return None

    return statuses, app(create_environ(path), start_response)  # type: ignore[arg-type]


def fill(app: App, places: int) -> list[tuple[list[str], Iterable[bytes]]]:
    """Ask for as many pages as have a place. None of them is answered, and none is refused."""
    asked = [ask(app, "/products?limit=1") for _ in range(places)]
    assert all(isinstance(answer, Deferred) for _, answer in asked)
    return asked


def check_one_more_is_shed(app: App) -> None:
    response = Client(app).get("/products?limit=1")
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) >= 1
    assert response.json == {"error": {"code": 503, "message": "the store is busy, try again"}}


def check_all_come(slow: SlowPages, asked: list[tuple[list[str], Iterable[bytes]]]) -> None:
    slow.let_go.set()
    pages = {b"".join(answer).rstrip(b"\n") for _, answer in asked}
    assert pages == {b'{"data": [{"name": "Bird", "price": 39.99, "quantity": 98}], "next": "Bird"}'}
    assert {status for statuses, _ in asked for status in statuses} == {"200 OK"}


def test_the_front_end_sheds_pages_and_nothing_else_waits_behind_them(
    slow: SlowPages, checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsgi_apps.reply.MAX_QUEUE_TIME_S", 60)
    app = FrontEndApp(slow, checkout)
    asked = fill(app, front_end_tier.PAGE_THREADS + front_end_tier.MAX_QUEUED_PAGES)
    check_one_more_is_shed(app)
    client = Client(app)
    assert client.get("/products/Tux").status_code == 200
    assert client.post("/Tux/1", headers=KEY).status_code == 200
    assert client.get("/orders/0", headers=KEY).status_code == 200
    check_all_come(slow, asked)


def test_the_catalog_sheds_pages_and_nothing_else_waits_behind_them(
    slow: SlowPages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsgi_apps.reply.MAX_QUEUE_TIME_S", 60)
    app = CatalogApp(slow)
    asked = fill(app, catalog_tier.PAGE_THREADS + catalog_tier.MAX_QUEUED_PAGES)
    check_one_more_is_shed(app)
    client = Client(app)
    assert client.get("/products/Tux").status_code == 200
    assert client.post("/v1/lookups", json=["Tux"]).status_code == 200
    sale = client.post("/v1/sales", json=[["k", "Tux", 1]])
    assert sale.json == {"data": [2599]}
    assert client.post("/Tux/1").status_code == 200
    check_all_come(slow, asked)


def test_the_catalog_makes_one_page_at_a_time(slow: SlowPages) -> None:
    """A search may read all names, without the interpreter's lock: two of them would keep two cores from the buys."""
    check_all_come(slow, fill(CatalogApp(slow), 8))
    assert slow.most_at_once == 1


@pytest.mark.parametrize("path", ["/products", "/products?limit=2", "/products?q=w", "/products?q=nobody"])
def test_a_head_of_a_page_says_its_length(catalog: CatalogStore, checkout: Checkout, path: str) -> None:
    for app in (FrontEndApp(catalog, checkout), CatalogApp(catalog)):
        head, page = Client(app).head(path), Client(app).get(path)
        assert (head.status_code, head.data) == (200, b"")
        assert head.headers["Content-Length"] == page.headers["Content-Length"] == str(len(page.data))
        assert head.content_type == page.content_type == "application/json"
