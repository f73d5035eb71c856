"""Judges a page in the browser: what keeps people from using it, whether it fits, what it loads."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

# Widths in CSS pixels: the narrowest phone, and a page that is zoomed to 400 % on a desktop; a tablet; a desktop.
WIDTHS = (320, 768, 1440)
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
_AXE = Axe()


def assert_everybody_can_use_it(page: Page) -> None:
    """Asserts that axe finds nothing on the page, in light and in dark mode, wide and narrow."""
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        for width in (WIDTHS[0], WIDTHS[-1]):
            page.set_viewport_size({"width": width, "height": 800})
            results = _AXE.run(page, options={"resultTypes": ["violations"]})
            found = [
                f"{one['id']}: {one['help']}: {node['html'][:160]} {node.get('failureSummary', '')}"
                for one in results.response["violations"]
                for node in one["nodes"]
            ]
            assert not found, f"{page.url}, {scheme}, {width} px:\n" + "\n".join(found)


def assert_it_fits(page: Page) -> None:
    """Asserts that the page needs no scrolling sideways at any width."""
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        wide = page.evaluate(
            """() => [...document.querySelectorAll('body *')]
                .filter(element => element.getBoundingClientRect().right > innerWidth + 1)
                .map(element => element.outerHTML.slice(0, 120)).slice(0, 3)"""
        )
        scrolled = page.evaluate("document.scrollingElement.scrollWidth")
        assert scrolled <= width, f"{page.url} is {scrolled} px wide at {width} px: {wide}"


@dataclass
class Traffic:
    """The traffic of a page: bytes on the wire by address, headers included."""

    bytes_by_url: dict[str, int] = field(default_factory=dict)

    @property
    def total_bytes(self) -> int:
        return sum(self.bytes_by_url.values())

    @property
    def hosts(self) -> set[str]:
        """The hosts, with ports, that were asked. An image within a style sheet has none."""
        return {urlsplit(url).netloc for url in self.bytes_by_url if not url.startswith("data:")}


@contextmanager
def measuring(page: Page) -> Iterator[Traffic]:
    """Counts the bytes that the page receives during the block."""
    traffic = Traffic()
    urls: dict[str, str] = {}

    def finished(event: dict[str, Any]) -> None:
        url = urls[event["requestId"]]
        traffic.bytes_by_url[url] = traffic.bytes_by_url.get(url, 0) + int(event["encodedDataLength"])

    session = page.context.new_cdp_session(page)
    session.on("Network.requestWillBeSent", lambda event: urls.update({event["requestId"]: event["request"]["url"]}))
    session.on("Network.loadingFinished", finished)
    session.send("Network.enable")
    try:
        yield traffic
    finally:
        session.detach()


def describe(traffic: Traffic) -> str:
    """Returns what was loaded, for the message of a failure."""
    return json.dumps(traffic.bytes_by_url, indent=2)
