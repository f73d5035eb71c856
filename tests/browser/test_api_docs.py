"""The page of the API in a browser: it shows each call, sends one, and loads nothing from elsewhere."""

from urllib.parse import urlsplit

from playwright.sync_api import Page, expect

from tests.browser.pages import assert_it_fits, measuring
from tests.browser.shop import Shop


def test_the_page_of_the_api_sends_a_query(shop: Shop, page: Page) -> None:
    with measuring(page) as traffic:
        page.goto(f"{shop.url}/docs", wait_until="networkidle")
        page.get_by_role("button", name="/products/{name}").first.click()
        page.get_by_role("button", name="Try it out").click()
        page.get_by_placeholder("name").fill("Tux")
        with page.expect_response(lambda reply: reply.url.endswith("/products/Tux")) as reply:
            page.get_by_role("button", name="Execute").click()
        assert reply.value.status == 200
        expect(page.locator(".live-responses-table")).to_contain_text('"price": 25.99')
    assert traffic.hosts == {urlsplit(shop.url).netloc}
    assert_it_fits(page)
