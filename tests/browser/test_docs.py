"""The page of the API in a real browser: it buys once, axe finds nothing, and its policy refuses nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.chromium import browsing
from tests.support.books import Books
from tests.support.tiers import Tiers, running


@pytest.fixture(scope="module")
def tiers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tiers]:
    with running(tmp_path_factory.mktemp("docs") / "data") as tiers:
        yield tiers


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    with browsing(tmp_path / "profile") as page:
        yield page


def violations(page: Page) -> list[str]:
    """Returns what axe finds on the page."""
    return [
        f"{found['id']}: {node['html']}" for found in Axe().run(page).response["violations"] for node in found["nodes"]
    ]


def test_the_page_of_the_api_buys_once_under_a_key(tiers: Tiers, page: Page) -> None:
    messages: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: messages.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(tiers.url("front_end") + "/docs")
    expect(page.get_by_role("heading", name="The API of the toy store")).to_be_visible()
    assert violations(page) == []

    buy = page.locator("#operations-buys-buy")
    buy.locator(".opblock-summary-control").click()
    buy.get_by_role("button", name="Try it out").click()
    buy.get_by_placeholder("Idempotency-Key").fill("from-the-docs")
    for _ in range(2):
        with page.expect_response("**/Tux/1") as answer:
            buy.get_by_role("button", name="Execute").click()
        assert answer.value.json() == {"data": {"order_number": "0"}}
        expect(buy.locator(".live-responses-table tbody .response-col_status")).to_have_text("200")

    assert violations(page) == []

    assert [(product, quantity, key) for _, key, product, quantity in Books.read(tiers.data_dir).orders] == [
        ("Tux", 1, "from-the-docs")
    ]
    assert messages == [], "such as a file that the policy of the page refuses"
    assert {url for url in requests if not url.startswith((tiers.url("front_end"), "data:"))} == set()
