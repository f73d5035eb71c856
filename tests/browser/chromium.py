"""Runs Chromium, and shows pages of foreign sites in it.

Without Chromium the tests fail instead of being skipped.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, sync_playwright

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


@contextmanager
def browsing(folder: Path) -> Iterator[Page]:
    """Yields a page of a browser with an empty profile in `folder`. The browser ends with the block."""
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
    """Shows this HTML as the page at `url`, without a request. The requests of the page itself are sent."""

    def answer(route: Route) -> None:
        route.fulfill(content_type="text/html; charset=utf-8", body=f"<!doctype html><title>page</title>{html}")

    page.route(url, answer)
    page.goto(url, wait_until="commit")  # a page may navigate away before it is loaded
    page.unroute(url)
