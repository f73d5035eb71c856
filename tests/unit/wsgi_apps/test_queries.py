"""Pages of products and single orders, each of which two tiers serve, and other requests beside slow pages."""

import json
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from werkzeug.test import Client, TestResponse, create_environ

from db.sqlite.catalog import CatalogStore
from domain.checkout import Checkout
from tests.support.app_clients import AppClients, decode_error
from wsgi_apps import catalog as catalog_tier
from wsgi_apps import front_end as front_end_tier
from wsgi_apps.base import App
from wsgi_apps.catalog import CatalogApp
from wsgi_apps.front_end import FrontEndApp
from wsgi_apps.reply import Deferred


def names(page: TestResponse) -> list[str]:
    """Returns the names on a page, after a check that it is the last one."""
    body = json.loads(page.text)
    assert body["next"] is None
    return [product["name"] for product in body["data"]]


def test_products_are_listed_in_pages(tiers: AppClients) -> None:
    for client in (tiers.front_end, tiers.catalog):
        page = client.get("/products?limit=3").json
        assert page == {
            "data": [
                {"name": "Bird", "price": 39.99, "quantity": 98},
                {"name": "Elephant", "price": 29.99, "quantity": 87},
                {"name": "Tux", "price": 25.99, "quantity": 80},
            ],
            "next": "Tux",
        }
        assert names(client.get("/products?after=Tux")) == names(client.get("/products?q=wHa")) == ["Whale"]
        assert names(client.get("/products?q=&limit=1000")) == ["Bird", "Elephant", "Tux", "Whale"]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=x",
        "limit=-1",
        "limit=",
        "q=%FF",
        "q=%00",
        "q=a/b",
        "after=" + "x" * 65,
        "limit=1&limit=2",
        "lmit=1",
        "&".join(f"a{number}" for number in range(50)),
    ],
)
def test_an_invalid_query_of_a_page_is_400(tiers: AppClients, query: str) -> None:
    response = tiers.front_end.get(f"/products?{query}")
    assert response.status_code == 400
    decode_error(response)


@pytest.mark.parametrize("path", ["/products", "/products?limit=2", "/products?q=w", "/products?q=nobody"])
def test_the_response_to_a_head_of_a_page_has_its_length(catalog: CatalogStore, checkout: Checkout, path: str) -> None:
    for app in (FrontEndApp(catalog, checkout), CatalogApp(catalog)):
        head, page = Client(app).head(path), Client(app).get(path)
        assert (head.status_code, head.data) == (200, b"")
        assert head.headers["Content-Length"] == page.headers["Content-Length"] == str(len(page.data))
        assert head.content_type == page.content_type == "application/json"


def test_an_order_is_shown_by_its_number(tiers: AppClients) -> None:
    tiers.front_end.post("/Tux/2", headers={"Idempotency-Key": "mine"})
    for client, headers in ((tiers.front_end, {"Idempotency-Key": "mine"}), (tiers.order, {})):
        order: Any = client.get("/orders/0", headers=headers).json
        time = order["data"].pop("time")
        assert order == {"data": {"order_number": "0", "name": "Tux", "quantity": 2, "price": 25.99}}
        assert time.endswith("Z")
        for unknown in ("1", "x", "-1", "9" * 30):
            response = client.get(f"/orders/{unknown}", headers=headers)
            assert (response.status_code, decode_error(response)) == (404, "order not found")


KEY = {"Idempotency-Key": "k"}


class SlowPages(CatalogStore):
    """A catalog whose pages wait for `let_go`."""

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
    """The catalog with slow pages, which are released at the end of the test."""
    store = SlowPages(catalog)
    yield store
    store.let_go.set()
    store.close()


def ask(app: App, path: str) -> tuple[list[str], Iterable[bytes]]:
    """Calls the app and does not wait. Returns the list that will hold the status, and the response."""
    statuses: list[str] = []

    def start_response(status: str, headers: object, exc_info: object = None) -> object:
        statuses.append(status)
        return None

    return statuses, app(create_environ(path), start_response)  # type: ignore[arg-type]


def fill(app: App, places: int) -> list[tuple[list[str], Iterable[bytes]]]:
    """Asks for as many pages as the pool has places. None is answered or refused yet."""
    asked = [ask(app, "/products?limit=1") for _ in range(places)]
    assert all(isinstance(answer, Deferred) for _, answer in asked)
    return asked


def check_one_more_is_shed(app: App) -> None:
    """Asserts that the full pool refuses a page with 503."""
    response = Client(app).get("/products?limit=1")
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) >= 1
    assert response.json == {"error": {"code": 503, "message": "the store is busy, try again"}}


def check_all_are_answered(slow: SlowPages, asked: list[tuple[list[str], Iterable[bytes]]]) -> None:
    """Lets the pages go on, and asserts that each request gets its page."""
    slow.let_go.set()
    pages = {b"".join(answer).rstrip(b"\n") for _, answer in asked}
    assert pages == {b'{"data": [{"name": "Bird", "price": 39.99, "quantity": 98}], "next": "Bird"}'}
    assert {status for statuses, _ in asked for status in statuses} == {"200 OK"}


def test_the_front_end_sheds_pages_and_no_other_request_waits_behind_them(
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
    check_all_are_answered(slow, asked)


def test_the_catalog_sheds_pages_and_no_other_request_waits_behind_them(
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
    check_all_are_answered(slow, asked)


def test_the_catalog_makes_one_page_at_a_time(slow: SlowPages) -> None:
    """A search may read all names, without the interpreter lock: two at a time would take two cores from the buys."""
    check_all_are_answered(slow, fill(CatalogApp(slow), 8))
    assert slow.most_at_once == 1
