"""The framework: paths, methods, bodies, headers and errors, which all tiers handle alike."""

import gc
import logging
import re
import time
import tracemalloc
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import pytest
from werkzeug.test import Client, EnvironBuilder

from db.sqlite.catalog import CatalogStore
from domain.checkout import Checkout
from domain.errors import Invalid, Unavailable
from domain.limits import MAX_BODY_BYTES
from domain.protocols import Placed
from domain.values import Buy
from tests.exchanges import EXCHANGES, Exchange
from tests.support.app_clients import AppClients, decode_error, send
from wsgi_apps.base import COMMON_HEADERS, FORM, MAX_CACHED_MATCHES, Request, new_key
from wsgi_apps.base import send as send_reply
from wsgi_apps.front_end import FrontEndApp
from wsgi_apps.reply import Reply


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda exchange: exchange.name)
def test_each_documented_exchange_is_answered_exactly(tiers: AppClients, exchange: Exchange) -> None:
    response = getattr(tiers, exchange.tier).open(exchange.path, method=exchange.method)
    exchange.check(response.status_code, response.content_type, response.text)


@pytest.mark.parametrize("path", ["/nowhere", "/a/b/c", "/products/Tux/x/y", "/orders", "/orders/0/"])
def test_an_unknown_path_is_404(tiers: AppClients, path: str) -> None:
    for client in tiers:
        response = client.get(path)
        assert (response.status_code, decode_error(response)) == (404, "not found")


def test_a_wrong_method_is_405_with_allow(tiers: AppClients) -> None:
    response = tiers.front_end.delete("/products")
    assert (response.status_code, response.headers["Allow"]) == (405, "GET, HEAD")
    decode_error(response)
    response = tiers.front_end.get("/Tux/1")
    assert (response.status_code, response.headers["Allow"]) == (405, "POST")
    response = tiers.order.put("/products/Tux/1")
    assert response.headers["Allow"] == "GET, POST"


@pytest.mark.parametrize("path", ["/products/Tux", "/products", "/health", "/products/Unicorn"])
def test_head_works_where_get_does(tiers: AppClients, path: str) -> None:
    for client in (tiers.front_end, tiers.catalog):
        get, head = client.get(path), client.head(path)
        assert head.status_code == get.status_code
        assert head.data == b""
        assert head.headers["Content-Length"] == get.headers["Content-Length"]


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
def test_every_response_is_one_line_of_json_with_nosniff(tiers: AppClients, method: str, path: str) -> None:
    """The line end keeps a terminal's prompt on its own line. nosniff keeps a browser from taking a name for HTML."""
    for client in tiers:
        response = client.open(path, method=method)
        assert response.text.count("\n") == 1 and response.text.endswith("}\n")
        assert int(response.headers["Content-Length"]) == len(response.data)
        assert response.headers.getlist("X-Content-Type-Options") == ["nosniff"]


def test_a_response_to_a_buy_has_its_key(tiers: AppClients) -> None:
    assert len(tiers.front_end.post("/Tux/1").headers["Idempotency-Key"]) == 32, "the store makes a key"
    for client, path in ((tiers.front_end, "/Tux/1"), (tiers.order, "/products/Tux/1"), (tiers.catalog, "/Tux/1")):
        first = client.post(path, headers={"Idempotency-Key": "my-key"})
        again = client.post(path, headers={"Idempotency-Key": "my-key"})
        assert first.headers["Idempotency-Key"] == "my-key"
        assert (again.status_code, again.json) == (first.status_code, first.json)


@pytest.mark.parametrize("path", ["/Tux/2", "/Whale/1"])
def test_a_key_reused_for_another_buy_is_422(tiers: AppClients, path: str) -> None:
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
def test_the_error_of_an_invalid_buy_names_the_problem(tiers: AppClients, path: str, problem: str) -> None:
    for client in (tiers.front_end, tiers.catalog):
        response = send(client, "POST", path)
        assert response.status_code == 400
        assert problem in decode_error(response)


@pytest.mark.parametrize("key", ["", "a b", "x" * 129, "\xe9", "k,k", "k, k", ","])
def test_an_invalid_key_is_refused(tiers: AppClients, catalog: CatalogStore, key: str) -> None:
    response = tiers.front_end.post("/Tux/1", environ_overrides={"HTTP_IDEMPOTENCY_KEY": key})
    assert response.status_code == 400
    assert "Idempotency-Key" in decode_error(response)
    assert catalog.product("Tux").quantity == 80


BUYS = [
    ("front_end", "POST", ""),
    ("order", "POST", "/products"),
    ("order", "GET", "/products"),
    ("catalog", "POST", ""),
]


@pytest.mark.parametrize(("tier", "method", "prefix"), BUYS)
@pytest.mark.parametrize("query", ["hold=10m", "quantity=50", "x", "=", "&", "?", "%00", "q=&limit=1"])
def test_a_buy_with_a_query_string_is_400_and_buys_nothing(
    tiers: AppClients, catalog: CatalogStore, tier: str, method: str, prefix: str, query: str
) -> None:
    response = getattr(tiers, tier).open(f"{prefix}/Tux/1?{query}", method=method)
    assert response.status_code == 400
    assert "query string" in decode_error(response)
    assert catalog.product("Tux").quantity == 80


@pytest.mark.parametrize(("tier", "method", "prefix"), BUYS)
@pytest.mark.parametrize(
    "body", [b'{"customer": "me"}', b"hold=10m", b"x", b"[]", b"null", b'{"": {}}', b"\0", b"\xff"]
)
def test_a_buy_with_a_body_is_400_and_buys_nothing(
    tiers: AppClients, catalog: CatalogStore, tier: str, method: str, prefix: str, body: bytes
) -> None:
    for kind in ("application/json", "application/x-www-form-urlencoded", "text/plain", "multipart/form-data"):
        response = getattr(tiers, tier).open(f"{prefix}/Tux/1", method=method, data=body, content_type=kind)
        assert response.status_code == 400
        assert "a body" in decode_error(response)
    assert catalog.product("Tux").quantity == 80


@pytest.mark.parametrize(("tier", "method", "prefix"), BUYS)
def test_a_buy_with_an_empty_query_string_or_body_is_accepted(
    tiers: AppClients, catalog: CatalogStore, tier: str, method: str, prefix: str
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
def test_an_unused_query_string_is_400(tiers: AppClients, tier: str, method: str, path: str) -> None:
    tiers.front_end.post("/Tux/1", headers={"Idempotency-Key": "k"})
    buys = [["s", "Tux", 1]]
    body = {"/v1/lookups": ["Tux"], "/v1/sales": buys, "/v1/buys": buys}.get(path)
    for query, status in (("?fields=price", 400), ("?", 200)):
        response = getattr(tiers, tier).open(path + query, method=method, json=body, headers={"Idempotency-Key": "k"})
        assert response.status_code == status
        assert method == "HEAD" or status == 200 or "query string" in decode_error(response)


def test_a_large_body_is_413_and_changes_nothing(tiers: AppClients, catalog: CatalogStore) -> None:
    for client, path in ((tiers.front_end, "/Tux/1"), (tiers.order, "/products/Tux/1"), (tiers.catalog, "/Tux/1")):
        response = client.post(path, data=b"x" * (MAX_BODY_BYTES + 1))
        assert response.status_code == 413
        decode_error(response)
        largest = client.post(path, data=b"x" * MAX_BODY_BYTES)
        assert largest.status_code == 400, "the body is not too large, but a buy takes none"
    assert catalog.product("Tux").quantity == 80


def test_a_chunked_body_is_411(tiers: AppClients) -> None:
    response = tiers.front_end.post("/Tux/1", headers={"Transfer-Encoding": "chunked"})
    assert response.status_code == 411
    decode_error(response)


def test_a_body_shorter_than_announced_is_400(tiers: AppClients) -> None:
    response = tiers.front_end.post("/Tux/1", data=b"abc", environ_overrides={"CONTENT_LENGTH": "4"})
    assert response.status_code == 400
    assert "shorter" in decode_error(response)


class Broken:
    """An order tier that is unavailable for buys and has a bug in its orders."""

    def place_all(self, buys: Sequence[Buy], timeout_s: float | None = None) -> Sequence[Placed]:
        raise Unavailable

    def order(self, number: int, key: str | None = None) -> Any:
        raise ZeroDivisionError("a bug")

    def find(self, keys: Sequence[str], timeout_s: float | None = None) -> Any:
        raise Unavailable


def test_unavailable_is_503_with_retry_after_and_the_key(catalog: CatalogStore) -> None:
    response = Client(FrontEndApp(catalog, Broken())).post("/Tux/1")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert len(response.headers["Idempotency-Key"]) == 32
    decode_error(response)


def test_only_the_log_has_the_traceback_of_an_error(catalog: CatalogStore, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        response = Client(FrontEndApp(catalog, Broken())).get("/orders/1", headers={"Idempotency-Key": "k"})
    assert (response.status_code, decode_error(response)) == (500, "internal error")
    assert response.headers["X-Request-Id"] in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_the_cache_of_matched_paths_takes_at_most_4_mib(catalog: CatalogStore, checkout: Checkout) -> None:
    """The worst case: with one wide character in it, a string takes four bytes for each character."""
    app = FrontEndApp(catalog, checkout)
    start_response: Any = lambda *_: None  # noqa: E731
    environ = EnvironBuilder("/").get_environ()
    tracemalloc.start()
    try:
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for number in range(MAX_CACHED_MATCHES):
            name = f"{number:08d}" + "x" * 4_020 + "\U0001f427"
            path = f"/products/{name}"
            assert len(f"GET {quote(path)} HTTP/1.1\r\n") <= 4_094, "the server accepts it"
            list(app({**environ, "PATH_INFO": path.encode().decode("latin-1")}, start_response))
        gc.collect()
        kept = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert kept <= 4 * 2**20, f"{kept / 2**20:.0f} MiB"


def test_new_keys_sort_by_time_and_cannot_be_guessed() -> None:
    keys = []
    for _ in range(20):
        keys.append(new_key())
        time.sleep(0.002)
    assert keys == sorted(keys)
    assert all(re.fullmatch("[0-9a-f]{32}", key) for key in keys)
    assert len({key[12:] for key in keys}) == len(keys)


def test_a_304_has_neither_a_body_nor_its_length() -> None:
    started: list[tuple[str, list[tuple[str, str]]]] = []
    environ = EnvironBuilder().get_environ()
    body = send_reply(Reply(b"", 304, {"ETag": '"1"'}), environ, lambda *start: started.append(start))  # type: ignore[arg-type]
    [(status, headers)] = started
    assert (status, body) == ("304 NOT MODIFIED", [])
    assert dict(headers).keys() == {"ETag", *COMMON_HEADERS}


def test_a_header_of_a_reply_replaces_the_common_one() -> None:
    started: list[tuple[str, list[tuple[str, str]]]] = []
    environ = EnvironBuilder().get_environ()
    reply = Reply(b"p {}", headers={"Cache-Control": "max-age=60"}, content_type="text/css")
    body = send_reply(reply, environ, lambda *start: started.append(start))  # type: ignore[arg-type]
    headers = started[0][1]
    assert body == [b"p {}"]
    assert [value for name, value in headers if name == "Cache-Control"] == ["max-age=60"]
    assert ("Content-Type", "text/css") in headers


def test_a_form_is_decoded_and_checked() -> None:
    def fields(body: bytes, content_type: str = FORM) -> dict[str, str]:
        builder = EnvironBuilder(method="POST", data=body, content_type=content_type)
        return Request(builder.get_environ()).form_fields("key", "quantity")

    assert fields(b"key=a+b%2F&quantity=") == {"key": "a b/", "quantity": ""}
    for body, message in (
        (b"key=1&key=2", "a field stands twice"),
        (b"kex=1", "unknown field 'kex'; known: key, quantity"),
        (b"key=%ff", "the form is not UTF-8"),
        (b"key=1&" * 30, "the form has too many fields"),
    ):
        with pytest.raises(Invalid, match=message):
            fields(body)
    with pytest.raises(Invalid, match="the body is not a form"):
        fields(b"{}", "application/json")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("key=a+b%2F&more=1", "a b/"),
        ("key=&key=1", ""),
        ("more=1", ""),
        ("key=1&more=%ff", ""),
        ("key=1&" + "more=1&" * 30, ""),
    ],
)
def test_one_value_is_found_alike_in_a_query_string_and_in_a_form(text: str, value: str) -> None:
    form = EnvironBuilder(method="POST", data=text.encode(), content_type=FORM)
    assert Request(form.get_environ()).form_field("key") == value
    assert Request(EnvironBuilder(query_string=text).get_environ()).query_field("key") == value
    assert Request(EnvironBuilder(method="POST", data=b"key=1").get_environ()).form_field("key") == "", "no form"
