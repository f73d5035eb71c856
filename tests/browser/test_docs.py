"""The page of the API in a real browser: it buys once, axe finds nothing, and its policy refuses nothing."""

from urllib.parse import urlsplit

from playwright.sync_api import Page, expect

from tests.browser.pages import assert_everybody_can_use_it, assert_it_fits, measuring
from tests.browser.shop import Shop


def test_the_page_of_the_api_buys_once_under_a_key(shop: Shop, page: Page) -> None:
    with measuring(page) as traffic:
        page.goto(shop.url + "/docs", wait_until="networkidle")
        expect(page.get_by_role("heading", name="The API of the toy store")).to_be_visible()
        buy = page.locator("#operations-buys-buy")
        expect(buy).to_be_visible()
        assert_everybody_can_use_it(page)
        assert_it_fits(page)
        buy.locator(".opblock-summary-control").click()
        buy.get_by_role("button", name="Try it out").click()
        buy.get_by_placeholder("Idempotency-Key").fill("from-the-docs")
        for _ in range(2):
            with page.expect_response("**/Tux/1") as answer:
                buy.get_by_role("button", name="Execute").click()
            assert answer.value.json() == {"data": {"order_number": "0"}}
            expect(buy.locator(".live-responses-table tbody .response-col_status")).to_have_text("200")
    assert_it_fits(page)
    assert shop.sold_once("Tux") == "from-the-docs"
    assert traffic.hosts == {urlsplit(shop.url).netloc}, "nothing is loaded from elsewhere"
