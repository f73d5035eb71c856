"""Paths of the API beside those of the pages, and errors: JSON for a program, a page in a browser."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from werkzeug.test import Client

from db.sqlite.catalog import CatalogStore
from db.sqlite.order import OrderStore
from domain.checkout import Checkout
from domain.errors import Unavailable
from domain.values import Product
from tests.support.app_clients import decode_error
from wsgi_apps.front_end import FrontEndApp
from wsgi_apps.pages.templates import PAGE_HEADERS

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
# The first segments of the front end's own paths.
OWN_NAMES = ["shop", "receipts", "docs", "static", "pictures", "products", "orders", "health", "openapi.json"]


@pytest.fixture
def toys(tmp_path: Path) -> Iterator[CatalogStore]:
    """A catalog with Tux, and a product that is named like each path of the front end."""
    with closing(CatalogStore(tmp_path / "catalog.db")) as store:
        store.migrate()
        store.load([Product(name, 100, 5) for name in ("Tux", *OWN_NAMES)])
        yield store


@pytest.fixture
def shop(toys: CatalogStore, orders: OrderStore) -> Client:
    return Client(FrontEndApp(toys, Checkout(orders, toys)))


@pytest.mark.parametrize("name", OWN_NAMES)
@pytest.mark.parametrize("body", [{}, {"data": b"{}"}, {"content_type": "application/x-www-form-urlencoded"}])
def test_the_api_buys_a_product_of_any_name(
    shop: Client, toys: CatalogStore, name: str, body: dict[str, object]
) -> None:
    response = shop.post(f"/{name}/3", headers={"Idempotency-Key": "k"}, **body)
    assert (response.status_code, response.json) == (200, {"data": {"order_number": "0"}})
    assert response.headers["Idempotency-Key"] == "k"
    assert toys.product(name).quantity == 2


@pytest.mark.parametrize("name", OWN_NAMES)
def test_the_errors_of_the_api_are_those_before(shop: Client, name: str) -> None:
    assert decode_error(shop.post(f"/{name}/x")) == "the quantity is not a whole number in ASCII digits"
    assert decode_error(shop.post(f"/{name}/9")) == "out of stock"
    assert decode_error(shop.post(f"/{name}/1", data=b"[]")).startswith("the request has a body")
    assert decode_error(shop.post(f"/{name}/1?a=b")).startswith("the request has a query string")
    assert shop.put(f"/{name}/1").status_code == 405


@pytest.mark.parametrize("name", OWN_NAMES)
def test_a_product_of_any_name_is_bought_by_the_form(shop: Client, toys: CatalogStore, name: str) -> None:
    assert shop.post(f"/shop/{name}", data={"key": "k", "quantity": "2"}).status_code == 303
    assert toys.product(name).quantity == 3


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("/no/such/page", 404, "not found"),
        ("/robots.txt", 404, "not found"),
        ("/Tux/1", 405, "method not allowed; allowed: POST"),
        ("/shop/Nix", 404, "product not found"),
        ("/pictures/Nix.png", 404, "not found"),
        ("/static/nix.css", 404, "not found"),
    ],
)
def test_an_unknown_path_is_a_page_in_a_browser_and_json_for_a_program(
    shop: Client, path: str, status: int, message: str
) -> None:
    response = shop.get(path)
    assert (response.status_code, decode_error(response)) == (status, message)
    page = shop.get(path, headers=BROWSER, follow_redirects=True)
    assert (page.status_code, page.content_type) == (status, "text/html; charset=utf-8")
    assert "not found</h1>" in page.text
    assert '<a class="button" href="/">' in page.text
    assert page.headers.get("Allow") == response.headers.get("Allow")
    for name, value in PAGE_HEADERS.items():
        assert page.headers[name] == value


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/products/Nix"),
        ("GET", "/products?limit=0"),
        ("GET", "/orders/7"),
        ("PUT", "/products/Tux"),
        ("POST", "/Tux/1000"),
        ("POST", "/shop/1000"),
        ("DELETE", "/"),
    ],
)
def test_an_error_of_the_api_is_json_also_in_a_browser(shop: Client, method: str, path: str) -> None:
    program = shop.open(path, method=method)
    browser = shop.open(path, method=method, headers=BROWSER)
    assert decode_error(browser) == decode_error(program)


class BrokenCatalog(CatalogStore):
    """A catalog whose pages raise `error`."""

    error: Exception = RuntimeError("a bug")

    def products(self, *, q: str = "", after: str = "", limit: int) -> bytes:
        raise self.error


@pytest.fixture
def broken(tmp_path: Path) -> Iterator[BrokenCatalog]:
    with closing(BrokenCatalog(tmp_path / "catalog.db")) as store:
        store.migrate()
        yield store


def test_a_bug_is_a_page_with_the_id_that_the_log_has(broken: BrokenCatalog, orders: OrderStore) -> None:
    response = Client(FrontEndApp(broken, Checkout(orders, broken))).get("/", headers=BROWSER)
    assert (response.status_code, response.content_type) == (500, "text/html; charset=utf-8")
    assert response.headers["X-Request-Id"] in response.text
    assert "bug" not in response.text


def test_a_shop_whose_catalog_is_away_says_so(broken: BrokenCatalog, orders: OrderStore) -> None:
    broken.error = Unavailable()
    response = Client(FrontEndApp(broken, Checkout(orders, broken))).get("/", headers=BROWSER)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert "The shop is busy" in response.text
