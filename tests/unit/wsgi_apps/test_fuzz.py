"""Random requests to all three apps: every response has the store's form, and only a buy changes data.

CI tries the same requests each time.
`pytest tests/unit/wsgi_apps/test_fuzz.py --hypothesis-profile=long` tries new ones.
"""

import json
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_from_bytes

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings
from werkzeug.test import run_wsgi_app

from db.sqlite.catalog import CatalogStore
from db.sqlite.order import OrderStore
from domain.checkout import Checkout
from domain.limits import MAX_BODY_BYTES
from domain.values import Product
from tests.support.books import Books
from wsgi_apps.base import App
from wsgi_apps.catalog import CatalogApp
from wsgi_apps.front_end import FrontEndApp
from wsgi_apps.order import OrderApp
from wsgi_apps.pages.templates import HTML
from wsgi_apps.wire import BUYS, LOOKUPS, SALES

KEYS = [f"k{number}" for number in range(100)]
NAMES = ["Tux", "Whale", "Unicorn"]


@dataclass
class Store:
    """The three apps on one catalog and one order log. `answers` has the results of each key."""

    folder: Path
    apps: dict[str, App]
    answers: dict[tuple[str, str, str], tuple[int, str]] = field(default_factory=dict)

    def books(self) -> Books:
        return Books.read(self.folder)


@dataclass(frozen=True)
class Raw:
    """A request as a server may pass it to an app. The path is bytes in Latin-1, as in WSGI."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    length: str | None


@pytest.fixture
def store() -> Iterator[Store]:
    """One store for all requests of a test."""
    with tempfile.TemporaryDirectory() as folder:
        catalog, orders = CatalogStore(Path(folder) / "catalog.db"), OrderStore(Path(folder) / "order.db")
        with closing(catalog), closing(orders):
            catalog.migrate()
            orders.migrate()
            catalog.load([Product("Tux", 2599, 1_000_000), Product("Whale", 3499, 30)])
            checkout = Checkout(orders, catalog)
            yield Store(
                Path(folder),
                {
                    "front_end": FrontEndApp(catalog, checkout),
                    "catalog": CatalogApp(catalog),
                    "order": OrderApp(checkout),
                },
            )


def latin(text: str) -> str:
    """Returns the UTF-8 bytes of the text in Latin-1, as in WSGI."""
    return text.encode("utf-8", "surrogatepass").decode("latin-1")


# Valid requests of shoppers and tiers.
BUY = Raw("POST", "/Tux/1", "", {"HTTP_IDEMPOTENCY_KEY": "k"}, b"", None)
GOOD = [
    BUY,
    replace(BUY, path="/Whale/40"),
    replace(BUY, path="/products/Tux/1"),
    replace(BUY, method="GET", path="/products/Tux/1", headers={}),
    *(replace(BUY, method="GET", path=path) for path in ("/products", "/products/Tux", "/orders/0", "/health")),
    replace(BUY, method="GET", path="/products", query="q=u&limit=1&after=Bird"),
]

numbers = st.one_of(st.integers(-2, 1_000_002).map(str), st.text(max_size=8), st.just("9" * 400), st.just("\u0661"))
segments = st.one_of(
    st.sampled_from(["products", "orders", "health", "v1", "sales", "buys", "lookups", "store", "", ".", "..", *NAMES]),
    st.sampled_from(["shop", "receipts", "pictures", "static", "docs", "returns", "owner"]),
    st.text(max_size=70).map(latin),
    st.binary(max_size=20).map(lambda raw: raw.decode("latin-1")),
    numbers.map(latin),
)
paths = st.one_of(
    st.lists(segments, max_size=5).map(lambda parts: "/" + "/".join(parts)),
    st.builds("/{}/{}".format, segments, segments),
    st.builds("/products/{}/{}".format, segments, segments),
    st.builds("/products/{}".format, segments),
    st.builds("/orders/{}".format, segments),
    st.text(max_size=30).map(latin),
)
# gunicorn accepts visible characters and those outside ASCII.
values = st.text(st.characters(min_codepoint=32, max_codepoint=255, blacklist_characters="\x7f"), max_size=200)
headers = st.fixed_dictionaries(
    {},
    optional={
        "HTTP_IDEMPOTENCY_KEY": st.one_of(st.sampled_from(KEYS), values),
        "HTTP_AUTHORIZATION": values,
        "HTTP_HOST": values,
        "HTTP_TRANSFER_ENCODING": values,
        "HTTP_ACCEPT": values,
        "HTTP_COOKIE": values,
        "HTTP_RANGE": values,
        "HTTP_IF_NONE_MATCH": values,
        "HTTP_X_FORWARDED_HOST": values,
        "CONTENT_TYPE": values,
    },
)
queries = st.one_of(
    values,
    st.builds("q={}".format, st.one_of(values, st.binary().map(quote_from_bytes))),
    st.builds("limit={}&after={}".format, numbers.map(quote), st.text(max_size=70).map(quote)),
)
texts = st.one_of(st.text(max_size=70), st.text(st.characters(categories=["Cs", "Cc", "Lu"]), max_size=3))
leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts, st.sampled_from(KEYS + NAMES))
odd = texts | leaves
good_keys, good_names, good_quantities = st.sampled_from(KEYS), st.sampled_from(NAMES), st.integers(1, 4)
rows = st.one_of(
    st.tuples(good_keys, good_names, good_quantities),
    st.tuples(good_keys, good_names, good_quantities, odd),
    st.tuples(odd, good_names, good_quantities),
    st.tuples(good_keys, odd, good_quantities),
    st.tuples(good_keys, good_names, st.integers(-1, 10**7) | odd),
)
calls = st.one_of(
    st.lists(rows, min_size=1, max_size=3),
    st.lists(good_names | odd, min_size=1, max_size=3),
    st.dictionaries(st.sampled_from(["sales", "names"]), leaves | st.lists(odd, max_size=2)),
    st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10),
)
extremes = st.sampled_from([b"[" * 60_000, b'{"a":' * 9_000, b"x" * MAX_BODY_BYTES, b"x" * (MAX_BODY_BYTES + 1)])
bodies = st.one_of(
    extremes,
    calls.map(lambda value: json.dumps(value).encode()),
    calls.map(lambda value: json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")),
    st.binary(max_size=100),
)
random_parts = {
    "method": st.sampled_from(["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "X"]),
    "path": paths,
    "query": queries,
    "headers": headers,
    "body": bodies,
    "length": values | numbers.map(latin),
}


@st.composite
def requests(draw: st.DrawFn) -> Raw:
    """A valid request with random values for one or two of its parts."""
    good = draw(st.sampled_from(GOOD))
    parts = draw(st.lists(st.sampled_from(sorted(random_parts)), min_size=1, max_size=2, unique=True))
    return replace(good, **{part: draw(random_parts[part]) for part in parts})


def ask(app: App, raw: Raw) -> tuple[int, str | None, Any]:
    """Returns the status, media type and JSON of the response; the JSON is None for a HEAD and for a page."""
    environ = {
        "REQUEST_METHOD": raw.method,
        "PATH_INFO": raw.path,
        "QUERY_STRING": raw.query,
        "SCRIPT_NAME": "",
        "SERVER_NAME": "a",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(raw.body),
        "wsgi.input_terminated": True,
        "CONTENT_LENGTH": str(len(raw.body)) if raw.length is None else raw.length,
        **raw.headers,
    }
    parts, status, reply_headers = run_wsgi_app(app, environ, buffered=True)
    content = b"".join(parts)
    content_type = reply_headers.get("Content-Type")
    body = None if raw.method == "HEAD" or content_type == HTML else json.loads(content)
    assert raw.method != "HEAD" or content == b""
    return int(status.split()[0]), content_type, body


@pytest.mark.parametrize("tier", ["front_end", "catalog", "order"])
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(raw=requests())
def test_any_request_has_a_response_in_the_stores_form(store: Store, tier: str, raw: Raw) -> None:
    check(store, tier, raw)


@pytest.mark.parametrize(("tier", "path"), [("catalog", SALES), ("catalog", LOOKUPS), ("order", BUYS)])
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(body=bodies)
def test_any_call_between_the_tiers_has_a_response_in_the_stores_form(
    store: Store, tier: str, path: str, body: bytes
) -> None:
    check(store, tier, Raw("POST", path, "", {}, body, None))


def check(store: Store, tier: str, raw: Raw) -> None:
    """Checks the form of the response, and that only a successful buy or a refusal changed data."""
    before = store.books()
    status, content_type, body = ask(store.apps[tier], raw)
    after = store.books()
    is_page = tier == "front_end" and content_type == HTML
    assert is_page or content_type == "application/json"
    assert status < 500, "no tier is away, so even a 503 is a bug"
    assert isinstance(body, dict) or is_page or raw.method == "HEAD"
    if isinstance(body, dict) and "error" in body:
        assert body == {"error": {"code": status, "message": body["error"]["message"]}}
    if status == 404:  # a refusal is stored
        without_refusals = replace(after, refused=before.refused, refused_by_catalog=before.refused_by_catalog)
        assert without_refusals == before
    elif status != 200 or (raw.method in ("GET", "HEAD") and tier != "order") or raw.path == LOOKUPS:
        assert after == before
    assert after.refused.items() >= before.refused.items()
    if raw.path != SALES:  # without the order tier a sale has no order
        after.check()


@pytest.mark.parametrize("tier", ["front_end", "catalog", "order"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    key=st.sampled_from([f"agreed-{number}" for number in range(12)]),
    name=st.sampled_from(NAMES),
    quantity=st.integers(1, 3),
)
def test_all_answers_to_one_key_agree(store: Store, tier: str, key: str, name: str, quantity: int) -> None:
    """A repeated buy has the same result, and no other buy is sold under its key."""
    path = f"/products/{name}/{quantity}" if tier == "order" else f"/{name}/{quantity}"
    key = f"{key}-decrement" if tier == "catalog" else key
    status, _, body = ask(store.apps[tier], Raw("POST", path, "", {"HTTP_IDEMPOTENCY_KEY": key}, b"", None))
    assert status in (200, 404, 422)
    buy = (key, path.removeprefix("/products"), "decrement" if tier == "catalog" else "buy")
    earlier = [known for known in store.answers if known[0] == key]
    if status == 422:
        assert earlier and buy not in earlier, "the key stands for something else"
        return
    result = body["error"]["message"] if "error" in body else body.get("message") or body["data"]["order_number"]
    assert store.answers.setdefault(buy, (status, result)) == (status, result)
    assert earlier in ([], [buy]), "a key stands for one buy"
