"""Sends requests from pages of other sites in a browser, in each way that a page has: none of them buys.

Each request asks for a different number of pieces, by which the access log of the tiers shows that it arrived, and its
answer. Otherwise a request that the browser never sent would pass for one that was refused.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page
from werkzeug.wrappers import Request, Response

from tests.browser.chromium import FOREIGN_NAME, show
from tests.support.books import Books
from tests.support.stub_server import stub_server
from tests.support.tiers import Tiers, free_port, running
from tests.support.waiting import wait_until


@pytest.fixture
def tiers(tmp_path: Path) -> Iterator[Tiers]:
    with running(tmp_path / "data", GUNICORN_CMD_ARGS="--access-logfile -") as tiers:
        yield tiers


def answers(tiers: Tiers) -> dict[str, set[str]]:
    """Returns the status codes of each method and path in the access log of the tiers."""
    found: dict[str, set[str]] = {}
    for request, status in re.findall(r'"([A-Z]+ \S+?)\?? HTTP/1\.1" (\d{3}) ', tiers.log.read_text()):
        found.setdefault(request, set()).add(status)
    return found


def assert_refused(tiers: Tiers, before: Books, requests: set[str]) -> None:
    """Asserts that all requests arrived, each was refused with 403, and the books are as before."""
    wait_until(
        "all requests of the page have arrived",
        lambda: requests <= answers(tiers).keys(),
        timeout_s=30,
        details=lambda: f"missing: {requests - answers(tiers).keys()}",
    )
    given = answers(tiers)
    assert {request: given[request] for request in requests} == {request: {"403"} for request in requests}
    assert Books.read(tiers.data_dir) == before


# GET requests by single elements and calls of a page. `url` is an address of the order tier, where a GET buys.
GETS = {
    1: "add('img', {src: url})",
    2: "add('img', {src: url, referrerPolicy: 'no-referrer'})",
    3: "add('script', {src: url})",
    4: "add('link', {rel: 'stylesheet', href: url})",
    5: "add('iframe', {src: url})",
    6: "add('iframe', {src: url, referrerPolicy: 'no-referrer', sandbox: ''})",
    7: "add('video', {src: url})",
    8: "add('object', {data: url})",
    9: "add('link', {rel: 'prefetch', href: url})",
    10: "fetch(url, {mode: 'no-cors'})",
    11: "fetch(url, {mode: 'no-cors', referrerPolicy: 'no-referrer', credentials: 'include'})",
    12: "fetch(url)",
    13: "new EventSource(url)",
    14: "new WebSocket(url.replace('http', 'ws'))",
    15: "add('style', {textContent: `@font-face {font-family: x; src: url(${url})} p {font-family: x}`})",
    16: "add('form', {action: url, target: 'a-frame'}).submit()",
    17: "window.open(url)",
    18: "window.open(url, '_blank', 'noopener,noreferrer')",
    19: "add('a', {href: url, target: '_blank', rel: 'noreferrer'}).click()",
}
# POST requests. `shop`, `catalog` and `order` are addresses of the tiers where a POST buys.
POSTS = {
    21: "fetch(shop, {method: 'POST', mode: 'no-cors'})",
    22: "fetch(shop, {method: 'POST', mode: 'no-cors', referrerPolicy: 'no-referrer'})",
    23: "fetch(shop, {method: 'POST'})",
    24: "navigator.sendBeacon(shop)",
    25: "send(shop)",
    26: "send(shop, 'text/plain')",
    27: "add('a', {href: '#', ping: shop}).click()",
    28: "fetch(catalog, {method: 'POST', mode: 'no-cors'})",
    29: "send(catalog)",
    30: "send(catalog, 'multipart/form-data')",
    31: "fetch(order, {method: 'POST', mode: 'no-cors'})",
    32: "send(order, 'text/plain')",
}
HELPERS = """
    const add = (tag, properties) => {
        const element = Object.assign(document.createElement(tag), properties);
        if (properties.sandbox === '') element.setAttribute('sandbox', '');
        return document.body.appendChild(element);
    };
    const send = (action, enctype = 'application/x-www-form-urlencoded') =>
        add('form', {action, enctype, method: 'post', target: 'a-frame'}).submit();
    const frame = add('iframe', {name: 'a-frame'});
    const p = add('p', {textContent: 'text'});
"""


def ask(page: Page, tiers: Tiers, number: int, call: str) -> str:
    """Lets the page make this call, and returns the request that the tiers should receive."""
    page.wait_for_load_state()
    path = f"/products/Tux/{number}" if number in GETS or "order" in call else f"/Tux/{number}"
    url = {
        "order": tiers.url("order") + path,
        "shop": tiers.url("front_end") + path,
        "catalog": tiers.url("catalog") + path,
    }
    constants = f"const url = '{url['order']}', order = url, shop = '{url['shop']}', catalog = '{url['catalog']}';"
    page.evaluate(f"() => {{ {constants} {HELPERS} try {{ Promise.resolve({call}).catch(() => 0) }} catch {{}} }}")
    return f"{'GET' if number in GETS else 'POST'} {path}"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", FOREIGN_NAME])
def test_a_page_on_another_port_buys_nothing(tiers: Tiers, victim: Page, host: str) -> None:
    """The hosts make the page same-site, cross-site, and a page of an untrusted name."""
    before = Books.read(tiers.data_dir)
    for number, call in (GETS | POSTS).items():
        fresh = victim.context.new_page()  # so that a navigation of one does not disturb the next
        show(fresh, f"http://{host}:{free_port()}/")
        assert_refused(tiers, before, {ask(fresh, tiers, number, call)})


# Links, frames and redirects to the order tier. `{on}` is a foreign address that redirects to `{url}`.
WAYS = {
    1: "<img src='{on}'>",
    2: "<a href='{url}'></a><script>document.links[0].click()</script>",
    3: "<a href='{on}' rel=noreferrer></a><script>document.links[0].click()</script>",
    4: "<meta http-equiv=refresh content='0; url={url}'>",
    5: "<meta name=referrer content=no-referrer><meta http-equiv=refresh content='0; url={on}'>",
    6: "<script>location = '{url}'</script>",
    7: "<form action='{url}'></form><script>document.forms[0].submit()</script>",
    8: "<iframe srcdoc=\"<img src='{url}'>\"></iframe>",
}


@pytest.mark.parametrize("host", ["127.0.0.1", FOREIGN_NAME])
def test_a_link_a_redirect_and_a_frame_of_another_site_buy_nothing(tiers: Tiers, victim: Page, host: str) -> None:
    """The page navigates the visitor's window or a frame to the tier, directly or by a redirect."""
    before = Books.read(tiers.data_dir)
    buys = tiers.url("order") + "/products/Tux"

    def redirect(request: Request) -> Response:
        return Response(status=302, headers={"Location": buys + request.path})

    with stub_server(redirect) as port:
        for number, way in WAYS.items():
            html = way.format(url=f"{buys}/{number}", on=f"http://{host}:{port}/{number}")
            show(victim.context.new_page(), f"http://{host}:{free_port()}/", f"<body>{html}")
            assert_refused(tiers, before, {f"GET /products/Tux/{number}"})


@pytest.mark.parametrize("tier", ["front_end", "catalog", "order"])
def test_a_page_by_dns_rebinding_buys_nothing(tiers: Tiers, victim: Page, tier: str) -> None:
    """DNS rebinding: for the browser, page and tier are one origin, so the page can read the responses."""
    before = Books.read(tiers.data_dir)
    prefix = "/products/Tux" if tier == "order" else "/Tux"
    show(victim, f"http://{FOREIGN_NAME}:{tiers.ports[tier]}/", "a page")
    victim.wait_for_load_state()
    asked = set()
    for number, (method, path) in enumerate([("POST", prefix), ("GET", "/products/Tux"), ("GET", prefix)], start=1):
        status = victim.evaluate(
            "([url, method]) => fetch(url, {method, referrerPolicy: 'no-referrer'}).then(reply => reply.status)",
            [f"{path}/{number}", method],
        )
        assert status == 403
        asked.add(f"{method} {path}/{number}")
    victim.goto(f"http://{FOREIGN_NAME}:{tiers.ports[tier]}{prefix}/9")
    assert_refused(tiers, before, asked | {f"GET {prefix}/9"})


def test_the_front_ends_own_pages_buy(tiers: Tiers, victim: Page) -> None:
    """The control experiment: in the same ways a page of the shop itself buys."""
    shop = tiers.url("front_end")
    show(victim, shop + "/shop", "<form action='/Tux/2' method=post></form>")
    victim.wait_for_load_state()
    assert victim.evaluate("() => fetch('/Tux/1', {method: 'POST'}).then(reply => reply.status)") == 200
    assert victim.evaluate("() => navigator.sendBeacon('/Tux/3')")
    victim.evaluate("() => document.forms[0].submit()")
    victim.wait_for_url(shop + "/Tux/2")
    assert "order_number" in victim.content()
    wait_until("all three are bought", lambda: Books.read(tiers.data_dir).products["Tux"] == 80 - 6, timeout_s=30)


def test_an_address_that_the_user_types_is_answered(tiers: Tiers, victim: Page) -> None:
    """The catalog answers too: its owner may open it."""
    for tier in ("front_end", "catalog"):
        reply = victim.goto(tiers.url(tier) + "/products/Tux")
        assert reply is not None and reply.status == 200
        assert reply.headers["x-content-type-options"] == "nosniff"
