"""The apps without sockets: the front end is given the stores themselves."""

import json
import logging
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote_to_bytes

import pytest
from werkzeug.test import Client, TestResponse

from db.catalog import CatalogStore
from db.order import OrderStore
from domain.checkout import Checkout
from domain.errors import Unavailable
from domain.limits import MAX_BODY_BYTES, MAX_NAMES
from domain.protocols import Placed
from domain.values import Buy, Product
from tests.exchanges import EXCHANGES, Exchange
from wsgi_apps.base import App, new_key
from wsgi_apps.catalog import CatalogApp
from wsgi_apps.front_end import FrontEndApp
from wsgi_apps.order import OrderApp
from wsgi_apps.wire import CALLS


@dataclass
class Tiers:
    """A client of each tier."""

    front_end: Client
    catalog: Client
    order: Client

    def __iter__(self) -> Iterator[Client]:
        return iter((self.front_end, self.catalog, self.order))


@pytest.fixture
def tiers(catalog: CatalogStore, checkout: Checkout) -> Tiers:
    apps: list[App] = [FrontEndApp(catalog, checkout), CatalogApp(catalog), OrderApp(checkout)]
    return Tiers(*(Client(app) for app in apps))


def send(client: Client, method: str, path: str) -> TestResponse:
    """The path as its bytes are, as gunicorn gives them: Werkzeug's client would make a proper URL of it."""
    return client.open(method=method, environ_overrides={"PATH_INFO": unquote_to_bytes(path).decode("latin-1")})


def decode_error(response: TestResponse) -> str:
    """The message of an error reply, after a look at its form."""
    assert response.content_type == "application/json"
    body = json.loads(response.text)
    assert list(body) == ["error"]
    assert list(body["error"]) == ["code", "message"]
    assert body["error"]["code"] == response.status_code
    message = body["error"]["message"]
    assert isinstance(message, str)
    return message


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda exchange: exchange.name)
def test_each_documented_exchange_is_answered_exactly(tiers: Tiers, exchange: Exchange) -> None:
    response = getattr(tiers, exchange.tier).open(exchange.path, method=exchange.method)
    exchange.check(response.status_code, response.content_type, response.text)


def test_a_post_buys_at_the_order_tier_as_a_get_does(tiers: Tiers) -> None:
    assert tiers.order.get("/products/Tux/1").json == {"data": {"order_number": "0"}}
    assert tiers.order.post("/products/Tux/1").json == {"data": {"order_number": "1"}}


def test_a_head_looks_and_never_buys(tiers: Tiers, catalog: CatalogStore) -> None:
    response = tiers.order.head("/products/Tux/1")
    assert (response.status_code, response.headers["Allow"]) == (405, "GET, POST")
    assert catalog.product("Tux").quantity == 80


@pytest.mark.parametrize("path", ["/products/Tux", "/products", "/health", "/products/Unicorn"])
def test_head_works_where_get_does(tiers: Tiers, path: str) -> None:
    for client in (tiers.front_end, tiers.catalog):
        get, head = client.get(path), client.head(path)
        assert head.status_code == get.status_code
        assert head.data == b""
        assert head.headers["Content-Length"] == get.headers["Content-Length"]


def test_a_buy_tells_its_key(tiers: Tiers) -> None:
    made = tiers.front_end.post("/Tux/1").headers["Idempotency-Key"]
    assert len(made) == 32
    for client, path in ((tiers.front_end, "/Tux/1"), (tiers.order, "/products/Tux/1"), (tiers.catalog, "/Tux/1")):
        first = client.post(path, headers={"Idempotency-Key": "my-key"})
        again = client.post(path, headers={"Idempotency-Key": "my-key"})
        assert first.headers["Idempotency-Key"] == "my-key"
        assert (again.status_code, again.json) == (first.status_code, first.json)


def test_a_refused_buy_tells_its_key(tiers: Tiers) -> None:
    response = tiers.front_end.post("/Tux/1000", headers={"Idempotency-Key": "my-key"})
    assert (response.status_code, response.headers["Idempotency-Key"]) == (404, "my-key")


def test_a_direct_decrement_is_sold_once(tiers: Tiers, catalog: CatalogStore) -> None:
    for _ in range(3):
        assert tiers.catalog.post("/Tux/2", headers={"Idempotency-Key": "k"}).status_code == 200
    assert catalog.product("Tux").quantity == 78


@pytest.mark.parametrize("path", ["/Tux/2", "/Whale/1"])
def test_a_key_reused_for_something_else_is_422(tiers: Tiers, path: str) -> None:
    for client, prefix in ((tiers.front_end, ""), (tiers.order, "/products"), (tiers.catalog, "")):
        headers = {"Idempotency-Key": f"k{prefix}"}
        client.post(f"{prefix}/Tux/1", headers=headers)
        response = client.post(prefix + path, headers=headers)
        assert response.status_code == 422
        assert "Idempotency-Key" in decode_error(response)


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("/Tux/0", "below 1"),
        ("/Tux/-1", "whole number"),
        ("/Tux/1.5", "whole number"),
        ("/Tux/1000001", "above 1,000,000"),
        ("/Tux/%EF%BC%91", "ASCII digits"),
        ("/Tux/", "whole number"),
        ("//1", "empty"),
        ("/a%00b/1", "control character"),
        ("/a%0Ab/1", "control character"),
        ("/a%C2%85b/1", "control character"),
        ("/%FF/1", "not UTF-8"),
        ("/%ED%A0%80/1", "not UTF-8"),
        (f"/{'x' * 65}/1", "longer than 64"),
    ],
)
def test_a_bad_buy_is_told_its_problem(tiers: Tiers, path: str, problem: str) -> None:
    for client in (tiers.front_end, tiers.catalog):
        response = send(client, "POST", path)
        assert response.status_code == 400
        assert problem in decode_error(response)


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("/products/Tux/0", "below 1"),
        ("/products//1", "empty"),
        ("/products/a%7Fb/1", "control character"),
        ("/products/%FF/1", "not UTF-8"),
    ],
)
def test_a_bad_buy_at_the_order_tier_is_told_its_problem(tiers: Tiers, path: str, problem: str) -> None:
    for response in (send(tiers.order, "GET", path), send(tiers.order, "POST", path)):
        assert response.status_code == 400
        assert problem in decode_error(response)


@pytest.mark.parametrize("key", ["", "a b", "x" * 129, "\xe9", "k,k", "k, k", ","])
def test_a_bad_key_is_refused(tiers: Tiers, catalog: CatalogStore, key: str) -> None:
    response = tiers.front_end.post("/Tux/1", environ_overrides={"HTTP_IDEMPOTENCY_KEY": key})
    assert response.status_code == 400
    assert "Idempotency-Key" in decode_error(response)
    assert catalog.product("Tux").quantity == 80


@pytest.mark.parametrize("name", ["Tux & Söhne", "100 %", "a?b#c", "..", "products", "\u4f01\u9d5d", "sales"])
def test_any_name_can_be_queried_and_bought(tmp_path: Path, orders: OrderStore, name: str) -> None:
    store = CatalogStore(tmp_path / "catalog.db")
    store.migrate()
    store.load([Product(name, 100, 5)])
    front_end = Client(FrontEndApp(store, Checkout(orders, store)))
    path = quote(name, safe="")
    assert front_end.get(f"/products/{path}").json == {"data": {"name": name, "price": 1.0, "quantity": 5}}
    assert front_end.post(f"/{path}/1").status_code == 200
    assert store.product(name).quantity == 4
    store.close()


def test_names_are_compared_in_nfc(tmp_path: Path, orders: OrderStore) -> None:
    store = CatalogStore(tmp_path / "catalog.db")
    store.migrate()
    store.load([Product("Caf\u00e9", 100, 5)])
    response = Client(FrontEndApp(store, Checkout(orders, store))).get("/products/Cafe%CC%81")
    assert response.status_code == 200
    store.close()


@pytest.mark.parametrize("path", ["/", "/nowhere", "/a/b/c", "/products/Tux/x/y", "/orders", "/orders/0/"])
def test_an_unknown_path_is_404(tiers: Tiers, path: str) -> None:
    for client in tiers:
        response = client.get(path)
        assert (response.status_code, decode_error(response)) == (404, "not found")


def test_a_wrong_method_is_405_with_allow(tiers: Tiers) -> None:
    response = tiers.front_end.delete("/products")
    assert (response.status_code, response.headers["Allow"]) == (405, "GET, HEAD")
    decode_error(response)
    response = tiers.front_end.get("/Tux/1")
    assert (response.status_code, response.headers["Allow"]) == (405, "POST")
    response = tiers.order.put("/products/Tux/1")
    assert response.headers["Allow"] == "GET, POST"


def test_a_large_body_is_413_and_changes_nothing(tiers: Tiers, catalog: CatalogStore) -> None:
    for client, path in ((tiers.front_end, "/Tux/1"), (tiers.order, "/products/Tux/1"), (tiers.catalog, "/Tux/1")):
        response = client.post(path, data=b"x" * (MAX_BODY_BYTES + 1))
        assert response.status_code == 413
        decode_error(response)
        assert client.post(path, data=b"x" * MAX_BODY_BYTES).status_code == 400, "not too large; but a buy takes none"
    assert catalog.product("Tux").quantity == 80


BUYS = [
    ("front_end", "POST", ""),
    ("order", "POST", "/products"),
    ("order", "GET", "/products"),
    ("catalog", "POST", ""),
]


@pytest.mark.parametrize(("tier", "method", "prefix"), BUYS)
@pytest.mark.parametrize("query", ["hold=10m", "quantity=50", "x", "=", "&", "?", "%00", "q=&limit=1"])
def test_a_buy_with_a_query_string_buys_nothing_and_says_so(
    tiers: Tiers, catalog: CatalogStore, tier: str, method: str, prefix: str, query: str
) -> None:
    response = getattr(tiers, tier).open(f"{prefix}/Tux/1?{query}", method=method)
    assert response.status_code == 400
    assert "query string" in decode_error(response)
    assert catalog.product("Tux").quantity == 80


@pytest.mark.parametrize(("tier", "method", "prefix"), BUYS)
@pytest.mark.parametrize(
    "body", [b'{"customer": "me"}', b"hold=10m", b"x", b"[]", b"null", b'{"": {}}', b"\0", b"\xff"]
)
def test_a_buy_with_a_body_buys_nothing_and_says_so(
    tiers: Tiers, catalog: CatalogStore, tier: str, method: str, prefix: str, body: bytes
) -> None:
    for kind in ("application/json", "application/x-www-form-urlencoded", "text/plain", "multipart/form-data"):
        response = getattr(tiers, tier).open(f"{prefix}/Tux/1", method=method, data=body, content_type=kind)
        assert response.status_code == 400
        assert "a body" in decode_error(response)
    assert catalog.product("Tux").quantity == 80


@pytest.mark.parametrize(("tier", "method", "prefix"), BUYS)
def test_a_buy_that_asks_for_nothing_else_is_taken(
    tiers: Tiers, catalog: CatalogStore, tier: str, method: str, prefix: str
) -> None:
    client = getattr(tiers, tier)
    assert client.open(f"{prefix}/Tux/1?", method=method).status_code == 200
    for body in (b"", b"{}", b" {}\r\n"):
        assert client.open(f"{prefix}/Tux/1", method=method, data=body, content_type="a/b").status_code == 200
    assert catalog.product("Tux").quantity == 76


@pytest.mark.parametrize(
    ("tier", "method", "path"),
    [
        ("front_end", "GET", "/products/Tux"),
        ("front_end", "HEAD", "/products/Tux"),
        ("front_end", "GET", "/orders/0"),
        ("front_end", "GET", "/health"),
        ("catalog", "GET", "/products/Tux"),
        ("catalog", "GET", "/health"),
        ("catalog", "POST", "/v1/lookups"),
        ("catalog", "POST", "/v1/sales"),
        ("order", "GET", "/orders/0"),
        ("order", "GET", "/health"),
        ("order", "POST", "/v1/buys"),
    ],
)
def test_a_query_string_that_nothing_reads_is_400(tiers: Tiers, tier: str, method: str, path: str) -> None:
    tiers.front_end.post("/Tux/1", headers={"Idempotency-Key": "k"})
    buys = [["s", "Tux", 1]]
    body = {"/v1/lookups": ["Tux"], "/v1/sales": buys, "/v1/buys": buys}.get(path)
    for query, status in (("?fields=price", 400), ("?", 200)):
        response = getattr(tiers, tier).open(path + query, method=method, json=body, headers={"Idempotency-Key": "k"})
        assert response.status_code == status
        assert method == "HEAD" or status == 200 or "query string" in decode_error(response)


def test_a_chunked_body_is_411(tiers: Tiers) -> None:
    response = tiers.front_end.post("/Tux/1", headers={"Transfer-Encoding": "chunked"})
    assert response.status_code == 411
    decode_error(response)


def test_a_body_shorter_than_announced_is_400(tiers: Tiers) -> None:
    response = tiers.front_end.post("/Tux/1", data=b"abc", environ_overrides={"CONTENT_LENGTH": "4"})
    assert response.status_code == 400
    assert "shorter" in decode_error(response)


def names(page: TestResponse) -> list[str]:
    """The names on a page that is the last one."""
    body = json.loads(page.text)
    assert body["next"] is None
    return [product["name"] for product in body["data"]]


def test_products_are_listed_in_pages(tiers: Tiers) -> None:
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
def test_a_bad_list_is_400(tiers: Tiers, query: str) -> None:
    response = tiers.front_end.get(f"/products?{query}")
    assert response.status_code == 400
    decode_error(response)


def test_an_order_is_shown_by_its_number(tiers: Tiers) -> None:
    tiers.front_end.post("/Tux/2", headers={"Idempotency-Key": "mine"})
    for client, headers in ((tiers.front_end, {"Idempotency-Key": "mine"}), (tiers.order, {})):
        order: Any = client.get("/orders/0", headers=headers).json
        time = order["data"].pop("time")
        assert order == {"data": {"order_number": "0", "name": "Tux", "quantity": 2, "price": 25.99}}
        assert time.endswith("Z")
        for unknown in ("1", "x", "-1", "9" * 30):
            response = client.get(f"/orders/{unknown}", headers=headers)
            assert (response.status_code, decode_error(response)) == (404, "order not found")


@pytest.mark.parametrize(
    "key", [None, "other", "m", "mine2", "MINE", "Mine", "order-1", "*", "%", "0", '"mine"', "min%65"]
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_to_who_does_not_know_its_key_an_order_is_unknown(tiers: Tiers, key: str | None, method: str) -> None:
    """Whoever counts would read the whole sales history."""
    for bought_with in ("mine", "order-1"):
        tiers.front_end.post("/Tux/2", headers={"Idempotency-Key": bought_with})
    headers = {} if key is None else {"Idempotency-Key": key}
    shown, unknown = (tiers.front_end.open(f"/orders/{n}", method=method, headers=headers) for n in (0, 7))
    assert (shown.status_code, shown.data, shown.headers) == (404, unknown.data, unknown.headers)
    if key is not None:  # and the order tier, to which the key is passed on, does not tell either
        assert tiers.order.get("/orders/0", headers=headers).status_code == 404


@pytest.mark.parametrize("key", ["", "mine,mine", "mine, mine", "a b", "x" * 129, "\xe9"])
def test_a_key_that_is_none_is_400_whether_there_is_such_an_order_or_not(tiers: Tiers, key: str) -> None:
    tiers.front_end.post("/Tux/2", headers={"Idempotency-Key": "mine"})
    for client in (tiers.front_end, tiers.order):
        shown, unknown = (
            client.get(f"/orders/{number}", environ_overrides={"HTTP_IDEMPOTENCY_KEY": key}) for number in (0, 7)
        )
        assert (shown.status_code, shown.data, shown.headers) == (400, unknown.data, unknown.headers)
        assert "Idempotency-Key" in decode_error(shown)


def test_the_key_of_a_refused_buy_shows_no_order(tiers: Tiers) -> None:
    tiers.front_end.post("/Tux/1000", headers={"Idempotency-Key": "refused"})
    tiers.front_end.post("/Tux/1", headers={"Idempotency-Key": "mine"})
    for number in ("0", "-1"):
        response = tiers.front_end.get(f"/orders/{number}", headers={"Idempotency-Key": "refused"})
        assert (response.status_code, decode_error(response)) == (404, "order not found")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/products/Tux"),
        ("GET", "/products/Nix"),
        ("GET", "/products"),
        ("GET", "/health"),
        ("POST", "/Tux/1"),
        ("POST", "/Tux/1000"),
        ("POST", "/products/Tux/1"),
        ("POST", "/products/Tux/1000"),
        ("POST", "/Tux/x"),
        ("PUT", "/products"),
        ("GET", "/orders/0"),
        ("POST", "/v1/lookups"),
        ("GET", "/a/b/c/d"),
    ],
)
def test_every_answer_is_one_line_and_is_taken_for_json_alone(tiers: Tiers, method: str, path: str) -> None:
    """A terminal's prompt stands on its own line, and a browser guesses nothing else from what stands in a name."""
    for client in tiers:
        response = client.open(path, method=method)
        assert response.text.count("\n") == 1 and response.text.endswith("}\n")
        assert int(response.headers["Content-Length"]) == len(response.data)
        assert response.headers.getlist("X-Content-Type-Options") == ["nosniff"]


class Broken:
    """An order tier that does not answer to a buy, and fails by a mistake of ours when asked for an order."""

    def place_all(self, buys: Sequence[Buy], timeout_s: float | None = None) -> Sequence[Placed]:
        raise Unavailable

    def order(self, number: int, key: str | None = None) -> Any:
        raise ZeroDivisionError("a mistake of ours")


def test_unavailable_is_503_and_tells_when_to_come_back_and_with_which_key(catalog: CatalogStore) -> None:
    response = Client(FrontEndApp(catalog, Broken())).post("/Tux/1")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert len(response.headers["Idempotency-Key"]) == 32
    decode_error(response)


def test_a_mistake_of_ours_is_told_to_the_log_alone(catalog: CatalogStore, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        response = Client(FrontEndApp(catalog, Broken())).get("/orders/1", headers={"Idempotency-Key": "k"})
    assert (response.status_code, decode_error(response)) == (500, "internal error")
    assert response.headers["X-Request-Id"] in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_a_batch_of_sales_answers_each_by_itself(tiers: Tiers) -> None:
    sales = [["a", "Tux", 1], ["b", "Nix", 1], ["c", "Tux", 1000], ["a", "Tux", 2]]
    assert tiers.catalog.post("/v1/sales", json=sales).json == {
        "data": [
            2599,
            [404, "product not found", None],
            [404, "out of stock", None],
            [422, "this Idempotency-Key was used for another product or quantity", None],
        ]
    }
    assert tiers.catalog.post("/v1/sales", data=b"nonsense").status_code == 400


def test_a_batch_of_buys_answers_each_by_itself(tiers: Tiers) -> None:
    buys = [["a", "Tux", 1], ["b", "Nix", 1], ["c", "Tux", 1000], ["a", "Tux", 2], ["d", "Tux", 1]]
    assert tiers.order.post("/v1/buys", json=buys).json == {
        "data": [
            0,
            [404, "product not found", None],
            [404, "out of stock", None],
            [422, "this Idempotency-Key was used for another product or quantity", None],
            1,
        ]
    }
    assert tiers.order.post("/v1/buys", data=b"nonsense").status_code == 400


def test_a_batch_of_names_answers_each_by_itself(tiers: Tiers) -> None:
    assert tiers.catalog.post("/v1/lookups", json=["Tux", "Nix"]).json == {"data": [["Tux", 2599, 80], None]}
    assert tiers.catalog.post("/v1/lookups", json=["a/b"]).status_code == 400
    assert tiers.catalog.post("/v1/lookups", json=["Tux"] * (MAX_NAMES + 1)).status_code == 400


def test_a_batch_of_nothing_is_answered_by_nothing(tiers: Tiers) -> None:
    assert tiers.order.post("/v1/buys", json=[]).json == {"data": []}
    assert tiers.catalog.post("/v1/sales", json=[]).json == {"data": []}
    assert tiers.catalog.post("/v1/lookups", json=[]).json == {"data": []}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("version", ["v0", "v2", "v10", "v999999"])
def test_a_call_of_a_version_that_a_tier_does_not_know_is_not_found(tiers: Tiers, version: str, call: str) -> None:
    """Not what it would be as a path of shoppers: a decrement of a product named v2 by a quantity that is none."""
    for tier in (tiers.catalog, tiers.order):
        response = tier.open(f"/{version}/{call}", method="GET" if call == "store" else "POST", json=[])
        assert (response.status_code, decode_error(response)) == (404, "not found")


@pytest.mark.parametrize("name", ["v1", "v2", *CALLS])
def test_a_product_with_the_name_of_a_call_or_of_its_version_is_sold(
    tmp_path: Path, orders: OrderStore, name: str
) -> None:
    store = CatalogStore(tmp_path / "catalog.db")
    store.migrate()
    store.load([Product(name, 100, 3)])
    checkout = Checkout(orders, store)
    front_end, order = Client(FrontEndApp(store, checkout)), Client(OrderApp(checkout))
    assert front_end.get(f"/products/{name}").status_code == 200
    assert front_end.post(f"/{name}/1").status_code == 200
    assert order.post(f"/products/{name}/1").status_code == 200
    assert Client(CatalogApp(store)).post(f"/{name}/1").status_code == 200
    assert store.product(name).quantity == 0
    store.close()


def test_keys_made_here_come_in_the_order_of_time_and_cannot_be_guessed() -> None:
    keys = []
    for _ in range(20):
        keys.append(new_key())
        time.sleep(0.002)
    assert keys == sorted(keys)
    assert all(re.fullmatch("[0-9a-f]{32}", key) for key in keys)
    assert len({key[12:] for key in keys}) == len(keys)
