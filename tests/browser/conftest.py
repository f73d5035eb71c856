"""Fixtures of the browser tests: one browser for all tests of a process, and visitors of it."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.chromium import TIMEOUT_MS, Watch, chromium, visiting
from tests.browser.shop import Shop
from tests.support.tiers import running

expect.set_options(timeout=TIMEOUT_MS)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The browser. Each test has contexts of its own in it, which share nothing."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def watch() -> Watch:
    """Watches for what the pages of `visitor` must never do. The test fails at its end when they did it."""
    return Watch()


@pytest.fixture
def visitor(browser: Browser, watch: Watch) -> Iterator[BrowserContext]:
    """A visitor with JavaScript, whose pages may not complain."""
    with visiting(browser, watch=watch) as visitor:
        yield visitor


@pytest.fixture
def page(visitor: BrowserContext) -> Page:
    """A page of `visitor`."""
    return visitor.new_page()


@pytest.fixture
def plain_page(browser: Browser) -> Iterator[Page]:
    """A page of a visitor without JavaScript."""
    with visiting(browser, javascript=False) as visitor:
        yield visitor.new_page()


@pytest.fixture
def victim(browser: Browser) -> Iterator[Page]:
    """A page of a visitor of a bad site. Its pages may complain, because the store refuses their requests."""
    context = browser.new_context()
    yield context.new_page()
    context.close()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The shop of a store that the tests of a file share."""
    with running(tmp_path_factory.mktemp("shop") / "data") as tiers:
        yield Shop(tiers)
