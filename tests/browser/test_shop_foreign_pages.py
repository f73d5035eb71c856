"""Pages of other sites send the shop's form, and open the addresses at which the shop asks again: nothing is bought."""

import re
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from tests.browser.chromium import FOREIGN_NAME, show
from tests.browser.shop import Shop, buy_button, expect_receipt
from tests.support.tiers import free_port, running
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The shop of a store that the tests of this file share, whose log has each request."""
    folder = tmp_path_factory.mktemp("shop")
    with running(folder / "data", GUNICORN_CMD_ARGS="--access-logfile -") as tiers:
        yield Shop(tiers)


def foreign(host: str) -> str:
    """Returns an address of another site on this machine: same-site, cross-site, and of an untrusted name."""
    return f"http://{host}:{free_port()}/"


HOSTS = ["127.0.0.1", "localhost", FOREIGN_NAME]


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("encoding", ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain"])
def test_a_foreign_page_posts_the_form(shop: Shop, victim: Page, host: str, encoding: str) -> None:
    product = shop.new()
    fields = "<input name=key value=foreign-key><input name=quantity value=1>"
    html = f"<form action='{shop.address(product)}' method=post enctype={encoding}>{fields}</form>"
    show(victim, foreign(host), html)
    with victim.expect_navigation() as navigation:
        victim.evaluate("document.forms[0].submit()")
    assert navigation.value is not None and navigation.value.status in (400, 403)
    assert shop.orders(product) == []


# Ways in which a page makes a browser GET `{url}`.
WAYS = {
    "an image": "<img src='{url}'>",
    "a frame": "<iframe src='{url}'></iframe>",
    "a link": "<a href='{url}'></a><script>document.links[0].click()</script>",
    "a link without a referrer": "<a href='{url}' rel=noreferrer></a><script>document.links[0].click()</script>",
    "a refresh": "<meta http-equiv=refresh content='0; url={url}'>",
    "a form": "<form action='{url}'>{fields}</form><script>document.forms[0].submit()</script>",
    "a window": "<script>window.open('{url}')</script>",
}


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("way", WAYS)
def test_a_foreign_page_opens_the_address_that_asks_again(shop: Shop, victim: Page, host: str, way: str) -> None:
    """After an outage the shop's own page may place a buy by a GET. A page of another site cannot."""
    product = shop.new()
    values = {"product": product, "quantity": "1"}
    fields = "".join(f"<input name={name} value='{value}'>" for name, value in values.items())
    key = "foreign-key-" + product.replace(" ", "-")
    url = f"{shop.receipt(key)}?{urlencode(values)}"
    show(victim, foreign(host), f"<body>{WAYS[way].format(url=url, fields=fields)}")
    # The browser keeps some replies from the page, so the log of the front end shows that the request arrived.
    request = re.compile(rf'"GET /receipts/{key}\?\S* HTTP/1\.1" (\d+)')
    wait_until("the request arrives", lambda: bool(request.search(shop.tiers.log.read_text())))
    assert set(request.findall(shop.tiers.log.read_text())) <= {"403", "404"}
    for page in victim.context.pages:
        page.wait_for_load_state()
        # The page that a visitor gets must not go on by itself: its own refresh would come from the shop.
        assert page.locator("meta[http-equiv=refresh]").count() == 0 or "/receipts/" not in page.url
    assert shop.orders(product) == []


def test_an_address_that_the_visitor_types_offers_to_send_again(shop: Shop, page: Page) -> None:
    """Nobody knows whether its visitor meant to buy, so a button asks. The buy has the key of the address."""
    product = shop.new()
    page.goto(f"{shop.receipt('typed-key')}?{urlencode({'product': product, 'quantity': '2'})}")
    assert shop.orders(product) == []
    expect(page.get_by_role("main")).to_contain_text(product)
    page.get_by_role("main").get_by_role("button").click()
    expect_receipt(page, product, 2)
    assert shop.sold_once(product, 2) == "typed-key"


@pytest.mark.parametrize("host", HOSTS)
def test_no_page_frames_the_shop(shop: Shop, victim: Page, host: str) -> None:
    """Otherwise a page could lay a frame over its own button, and let the visitor click on `Buy`."""
    product = shop.new()
    show(victim, foreign(host), "<body>")
    victim.evaluate("url => document.body.append(Object.assign(document.createElement('iframe'), {src: url}))",
                    shop.address(product))  # fmt: skip
    frame = victim.frame_locator("iframe")
    victim.wait_for_function("document.querySelector('iframe').contentDocument === null")
    expect(frame.get_by_role("button", name=re.compile("^buy", re.IGNORECASE))).to_have_count(0)


def test_the_shops_own_page_buys(shop: Shop, page: Page) -> None:
    """The control experiment: the same form, on the shop's own page."""
    product = shop.new()
    page.goto(shop.address(product))
    buy_button(page).click()
    expect_receipt(page, product)
    shop.sold_once(product)
