"""A real browser, and the pages of a stranger.

Without Chromium these tests fail: whoever runs them wants to know.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, sync_playwright

# A name that leads to this machine, as a stranger's would after DNS rebinding.
STRANGER = "evil.example"

_OPTIONS = (
    "--no-sandbox",  # CI runs as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # No other name is looked up anywhere, and none is taken to a proxy.
    f"--host-resolver-rules=MAP {STRANGER} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    "--no-proxy-server",
    # What newer browsers hold back by themselves must not hide what the store would do without that.
    "--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests,HttpsUpgrades,HttpsFirstBalancedMode",
)


@contextmanager
def browsing(folder: Path) -> Iterator[Page]:
    """An open page of a browser with an empty profile in `folder`. It ends with the block."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.fail("these tests need Chromium, on Debian `apt-get install chromium`", pytrace=False)
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            folder, executable_path=chromium, headless=True, args=list(_OPTIONS)
        )
        try:
            yield context.new_page()
        finally:
            context.close()


def show(page: Page, url: str, html: str = "") -> None:
    """Open a page of our making at this address, whoever listens there. All that it then asks for is really asked."""

    def answer(route: Route) -> None:
        route.fulfill(content_type="text/html; charset=utf-8", body=f"<!doctype html><title>page</title>{html}")

    page.route(url, answer)
    page.goto(url, wait_until="commit")  # a page may lead on before it is loaded
    page.unroute(url)
