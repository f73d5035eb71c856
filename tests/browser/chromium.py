"""Runs Chromium, shows pages of foreign sites in it, and collects what a page of the store must never do.

Without Chromium the tests fail instead of being skipped.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Response,
    Route,
    WebError,
    sync_playwright,
)

# A foreign name that resolves to this machine, as after DNS rebinding.
FOREIGN_NAME = "evil.example"

_OPTIONS = (
    "--no-sandbox",  # CI runs as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # No other name is resolved, and no proxy is used.
    f"--host-resolver-rules=MAP {FOREIGN_NAME} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    "--no-proxy-server",
    # Newer browsers block some requests themselves. The store must refuse them without that help.
    "--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests,HttpsUpgrades,HttpsFirstBalancedMode",
)
# Playwright waits so long for an element, a page or a condition: longer than a busy machine delays what works.
TIMEOUT_MS = 60_000
# The browser writes this itself for a response with an error status, which `Watch` judges by the response.
_STATUS_LINE = "Failed to load resource"


@contextmanager
def chromium() -> Iterator[Browser]:
    """Runs the browser until the end of the block."""
    path = shutil.which("chromium")
    if path is None:
        pytest.fail("these tests need Chromium, on Debian `apt-get install chromium`", pytrace=False)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, headless=True, args=list(_OPTIONS))
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Watch:
    """Collects what pages must never do: errors, violations of their policy, and requests of missing files.

    A navigation may have any status: a test asserts it where it matters. `tolerated` has the statuses that other
    requests of the pages, such as those of a script, may have too.
    """

    tolerated: set[int] = field(default_factory=set)
    complaints: list[str] = field(default_factory=list)

    def attach(self, context: BrowserContext) -> None:
        """Watches all pages of a context."""
        context.on("console", self._hear)
        context.on("weberror", self._see)
        context.on("response", self._judge)

    def _hear(self, message: ConsoleMessage) -> None:
        # A violation of the Content-Security-Policy is an error in the console.
        outage = 503 in self.tolerated and "ERR_" in message.text
        if message.type in ("error", "warning") and not (message.text.startswith(_STATUS_LINE) or outage):
            self.complaints.append(f"{message.type} at {message.location}: {message.text}")

    def _see(self, error: WebError) -> None:
        self.complaints.append(f"exception: {error.error}")

    def _judge(self, response: Response) -> None:
        is_bad = response.status >= 400 and response.status not in self.tolerated
        if is_bad and not response.request.is_navigation_request():
            self.complaints.append(f"{response.status} for {response.request.method} {response.url}")


@contextmanager
def visiting(browser: Browser, *, javascript: bool = True, watch: Watch | None = None) -> Iterator[BrowserContext]:
    """Yields a context: a visitor with cookies and a cache of its own. Fails when a page did what `Watch` collects."""
    watch = watch or Watch()
    context = browser.new_context(java_script_enabled=javascript, locale="en-GB", timezone_id="UTC")
    context.set_default_timeout(TIMEOUT_MS)
    watch.attach(context)
    try:
        yield context
    finally:
        context.close()
    assert not watch.complaints, "\n".join(watch.complaints)


def show(page: Page, url: str, html: str = "") -> None:
    """Shows this HTML as the page at `url`, without a request. The requests of the page itself are sent."""

    def answer(route: Route) -> None:
        route.fulfill(content_type="text/html; charset=utf-8", body=f"<!doctype html><title>page</title>{html}")

    page.route(url, answer)
    page.goto(url, wait_until="commit")  # a page may navigate away before it is loaded
    page.unroute(url)
