"""The origin middleware: pages of other sites buy nothing, whatever their requests look like."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import EnvironBuilder, run_wsgi_app
from werkzeug.wrappers import Response

from conf.settings import load
from conf.wiring import allowed_hosts
from db.sqlite.catalog import CatalogStore
from domain.checkout import Checkout
from tests.support.books import Books
from wsgi_apps.catalog import CatalogApp
from wsgi_apps.front_end import FrontEndApp
from wsgi_apps.order import OrderApp
from wsgi_apps.origin import ShopOriginMiddleware, TierOriginMiddleware

BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0"}
SITES = ("cross-site", "same-site", "same-origin", "none")
BUYS = [
    ("front_end", "POST", "/Tux/1"),
    ("catalog", "POST", "/Tux/1"),
    ("order", "GET", "/products/Tux/1"),
    ("order", "POST", "/products/Tux/1"),
]
READS = [
    ("catalog", "GET", "/products/Tux"),
    ("catalog", "HEAD", "/products"),
    ("catalog", "GET", "/health"),
    ("order", "GET", "/orders/0"),
    ("order", "OPTIONS", "/products/Tux/1"),
    ("order", "GET", "/nowhere"),
]
HEALTH = ("GET", "/health")

State = tuple[Path, CatalogStore, Checkout]


class Store:
    """The three tiers behind their middleware. Without another Host a request has 127.0.0.1 with the tier's port."""

    def __init__(self, state: State, settings: Mapping[str, str]) -> None:
        self.folder, catalog, checkout = state
        loaded = load(settings)
        self.apps: dict[str, Any] = {
            "front_end": ShopOriginMiddleware(
                FrontEndApp(catalog, checkout), allowed_hosts(loaded.front_end), "FRONT_HOSTS"
            ),
            "catalog": TierOriginMiddleware(CatalogApp(catalog), allowed_hosts(loaded.catalog), "CATALOG_HOSTS"),
            "order": TierOriginMiddleware(OrderApp(checkout), allowed_hosts(loaded.order), "ORDER_HOSTS"),
        }

    def ask(self, tier: str, method: str, path: str, headers: Mapping[str, str | None]) -> Response:
        """Returns the response. A header of None is not sent."""
        builder = EnvironBuilder(path=path, method=method)
        environ = builder.get_environ()
        ports = {"front_end": 6060, "catalog": 10086, "order": 10010}
        for name, value in {"Host": f"127.0.0.1:{ports[tier]}", **headers}.items():
            environ.pop(variable := f"HTTP_{name.upper().replace('-', '_')}", None)
            if value is not None:
                environ[variable] = value
        return Response(*run_wsgi_app(self.apps[tier], environ, buffered=True))

    def refuses(self, tier: str, method: str, path: str, headers: Mapping[str, str | None], status: int = 403) -> bool:
        """Returns whether the tier refuses the request, and if so, checks its form and that nothing was changed."""
        before = Books.read(self.folder)
        response = self.ask(tier, method, path, headers)
        if response.status_code != status:
            return False
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.content_type == "application/json"
        if method != "HEAD":
            assert response.json is not None and response.get_data(as_text=True).endswith("}\n")
            assert list(response.json["error"]) == ["code", "message"]
            assert response.json["error"]["code"] == status
        assert Books.read(self.folder) == before, "nothing was changed"
        return True


@pytest.fixture
def state(tmp_path: Path, catalog: CatalogStore, checkout: Checkout) -> State:
    """The folder of the databases, and the stores on them."""
    return tmp_path, catalog, checkout


@pytest.fixture
def store(state: State) -> Store:
    return Store(state, {})


@pytest.mark.parametrize(("tier", "method", "path"), BUYS)
def test_programs_buy(store: Store, tier: str, method: str, path: str) -> None:
    """Programs send few headers, but Node.js sends some that browsers send."""
    node = {"User-Agent": "node", "Sec-Fetch-Mode": "cors", "Accept-Language": "*", "Accept": "*/*"}
    for headers in ({}, {"User-Agent": "curl/7.88.1"}, node):
        assert store.ask(tier, method, path, headers).status_code == 200


@pytest.mark.parametrize(("tier", "method", "path"), [*BUYS[1:], *READS])
@pytest.mark.parametrize(
    "marks",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://127.0.0.1:10010"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": ""},
        {"Sec-Fetch-Site": "none, none"},
        {"Sec-Fetch-Site": "none", "Origin": "http://127.0.0.1:10010"},
        {"Sec-Fetch-Site": "none", "Sec-Purpose": "prefetch;prerender"},
        {"Referer": "https://evil.example/page"},
        BROWSER,
    ],
    ids=str,
)
def test_an_inner_tier_refuses_every_page(
    store: Store, tier: str, method: str, path: str, marks: Mapping[str, str | None]
) -> None:
    assert store.refuses(tier, method, path, marks)


def test_an_inner_tier_answers_a_user_who_types_its_address(store: Store) -> None:
    typed = {**BROWSER, "Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    for tier, path in (("catalog", "/products/Tux"), ("order", "/products/Tux/1")):
        assert store.ask(tier, "GET", path, typed).status_code == 200


@pytest.mark.parametrize(
    "marks",
    [
        *({"Sec-Fetch-Site": site} for site in (*SITES[:2], "", "SAME-ORIGIN", "same-origin,same-origin", "x")),
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://127.0.0.1"},
        {"Origin": "http://127.0.0.1:6061"},
        {"Origin": "http://127.0.0.1:60600"},
        {"Origin": "http://127.0.0.1:6060.evil.example"},
        {"Origin": "http://evil.example/127.0.0.1:6060"},
        {"Origin": "http://localhost:6060"},
        {"Origin": "http://127.0.0.1:6060, http://127.0.0.1:6060"},
        {"Origin": "127.0.0.1:6060"},
        {"Origin": "ftp://127.0.0.1:6060"},
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "http://127.0.0.1:6060", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://127.0.0.1:6060", "Host": None},
        {"Origin": "http://127.0.0.1:6060", "Host": ""},
        {"Referer": "https://evil.example/page"},
        {"Referer": "http://127.0.0.1:6061/page"},
    ],
    ids=str,
)
@pytest.mark.parametrize(("method", "path"), [("POST", "/Tux/1"), ("PUT", "/Tux/1"), ("POST", "/nowhere")])
def test_a_page_of_another_site_buys_nothing_at_the_front_end(
    store: Store, method: str, path: str, marks: Mapping[str, str | None]
) -> None:
    assert store.refuses("front_end", method, path, marks)
    assert store.refuses("front_end", method, path, {**BROWSER, **marks})


@pytest.mark.parametrize(
    "marks",
    [
        {"Origin": "http://127.0.0.1:6060"},
        {"Origin": "http://127.0.0.1:6060", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Referer": "http://127.0.0.1:6060/page?x"},
        {"Host": "LOCALHOST:6060", "Origin": "http://localhost:6060"},
        {"Host": "[::1]:6060", "Origin": "http://[::1]:6060"},
        {"Host": "localhost", "Origin": "https://localhost"},
        {"Host": "localhost:80", "Origin": "http://localhost"},
    ],
    ids=str,
)
def test_a_page_of_the_front_end_itself_may_buy(store: Store, marks: Mapping[str, str | None]) -> None:
    assert store.ask("front_end", "POST", "/Tux/1", {**BROWSER, **marks}).status_code == 200


@pytest.mark.parametrize("site", SITES)
def test_any_page_may_link_to_the_front_end(store: Store, site: str) -> None:
    """A page of another site cannot read the response: no response has a CORS header."""
    marks: dict[str, str | None] = {**BROWSER, "Sec-Fetch-Site": site, "Referer": "https://evil.example/"}
    for method in ("GET", "HEAD"):
        assert store.ask("front_end", method, "/products/Tux", marks).status_code == 200
    for method in ("GET", "OPTIONS", "POST"):
        headers = store.ask("front_end", method, "/products/Tux", {**marks, "Origin": "https://evil.example"}).headers
        assert not [name for name, _ in headers.items() if name.lower().startswith("access-control-")]


OWN_HOSTS = [
    "127.0.0.1",
    "127.0.0.1:1",
    "127.0.0.1:",
    "10.1.2.3:10086",
    "[::1]",
    "[::1]:10086",
    "[::FFFF:10.1.2.3]",
    "localhost",
    "LocalHost:10086",
    "localhost.",
    "shop.localhost:1",
]
FOREIGN_HOSTS = [
    "rebound.evil.example",
    "rebound.evil.example:10010",
    "REBOUND.evil.example.",
    "localhost.evil.example",
    "127.0.0.1.nip.example",
    "notlocalhost.example",
    "evil.example:127",
    "0.0.0.0",
    "0.0.0.0:10010",
    "[::]:10010",
    "[::ffff:0.0.0.0]",
    "127.1",
    "0177.0.0.1",
]
MALFORMED_HOSTS = [
    "a b",
    "a, b",
    "me@a",
    "a/b",
    "a:http",
    "[::1",
    "::1",
    "a..b",
    "[]",
    "\xe9",
    "a\t",
    ":80",
    "a:1:2",
    ".",
]


@pytest.mark.parametrize(("tier", "method", "path"), [*BUYS, *READS, ("front_end", "GET", "/products/Tux")])
@pytest.mark.parametrize("host", FOREIGN_HOSTS)
def test_a_host_that_is_not_a_name_of_the_tier_is_refused(
    store: Store, tier: str, method: str, path: str, host: str
) -> None:
    assert store.refuses(tier, method, path, {"Host": host})


@pytest.mark.parametrize("host", [*OWN_HOSTS, None, ""])
def test_a_loopback_name_an_address_and_no_host_are_accepted(store: Store, host: str | None) -> None:
    """Every browser sends a Host. The server, not the app, requires one of HTTP/1.1."""
    for tier, method, path in BUYS:
        assert store.ask(tier, method, path, {"Host": host}).status_code == 200


@pytest.mark.parametrize("host", MALFORMED_HOSTS)
def test_a_malformed_host_is_400(store: Store, host: str) -> None:
    for tier, method, path in BUYS:
        assert store.refuses(tier, method, path, {"Host": host}, status=400)


def test_only_programs_may_use_a_name_without_a_dot(store: Store) -> None:
    """Containers and machines of a local network have such names. A name server there could point one at the store."""
    page = {**BROWSER, "Host": "evil:6060", "Origin": "http://evil:6060"}
    for tier, method, path in BUYS:
        assert store.ask(tier, method, path, {"Host": "catalog:10086"}).status_code == 200
        assert store.refuses(tier, method, path, page)
        for mark in page:
            assert mark == "Host" or store.refuses(tier, method, path, {"Host": "evil:6060", mark: page[mark]})
    assert store.refuses("front_end", "GET", "/products/Tux", {**BROWSER, "Host": "evil:6060"})


@pytest.mark.parametrize(("tier", "prefix"), [("catalog", "CATALOG"), ("order", "ORDER"), ("front_end", "FRONT")])
def test_a_tier_accepts_the_names_in_its_bind_its_address_and_its_list_of_hosts(
    state: State, tier: str, prefix: str
) -> None:
    reached = {f"{prefix}_BIND": "Bound.example:1", prefix: "http://Reached.example:2"}
    listed = Store(state, reached | {f"{prefix}_HOSTS": "one.example, Two.example,three"})
    for host in ("bound.example", "reached.example:2", "ONE.example", "two.example:7", "three", *OWN_HOSTS):
        assert listed.ask(tier, *HEALTH, {"Host": host}).status_code == 200
    for host in ("four.example", "x.one.example", "four", *FOREIGN_HOSTS):
        assert listed.refuses(tier, *HEALTH, {"Host": host})
    # A browser may use a listed name of the front end.
    by_browser = {**BROWSER, "Host": "three"} if tier == "front_end" else {"Host": "three"}
    assert listed.ask(tier, *HEALTH, by_browser).status_code == 200


def test_a_public_front_end_accepts_any_name_unless_its_names_are_listed(state: State) -> None:
    for public in ({"FRONT_BIND": "0.0.0.0:6060"}, {"FRONT_BIND": "[::]:6060"}, {"FRONT_BIND": "10.0.0.1"}):
        store = Store(state, public)
        for host in ("shop.example", "0.0.0.0:6060", "shop"):
            assert store.ask("front_end", "GET", "/products", {**BROWSER, "Host": host}).status_code == 200
        assert store.refuses("front_end", "GET", "/products", {"Host": "a b"}, status=400)
        store = Store(state, public | {"FRONT_HOSTS": "shop.example"})
        assert store.refuses("front_end", "GET", "/products", {"Host": "evil.example"})
        page: dict[str, str | None] = {"Host": "shop.example", "Origin": "https://shop.example"}
        assert store.ask("front_end", "POST", "/Tux/1", {**BROWSER, **page}).status_code == 200
    for tier in ("catalog", "order"):
        store = Store(state, {"CATALOG_BIND": "0.0.0.0:1", "ORDER_BIND": "0.0.0.0:1"})
        assert store.refuses(tier, *HEALTH, {"Host": "shop.example"}), "an inner tier accepts only its own names"
