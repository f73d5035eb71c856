"""Takes the pictures of shop and desk for the README: `make screenshots`, or `python -m tests.browser.screenshots`."""

import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page

from tests.browser.chromium import chromium, visiting
from tests.browser.desk import Desk
from tests.browser.sample import sample_store
from tests.support.tiers import ROOT

FOLDER = ROOT / "docs" / "images"
COLORS = 256  # a palette makes a file a third as large, and nobody sees it


def main() -> None:
    """Starts a store with toys and orders, and writes docs/images/shop.png and desk.png."""
    FOLDER.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        chromium() as browser,
        sample_store(Path(folder)) as desk,
        visiting(browser) as visitor,
    ):
        page = visitor.new_page()
        page.set_viewport_size({"width": 1280, "height": 800})
        shoot_shop(desk, page)
        shoot_desk(desk, page)


def shoot_shop(desk: Desk, page: Page) -> None:
    """Takes the picture of the first page of the shop."""
    page.goto(desk.shop.url, wait_until="networkidle")
    shoot(page, FOLDER / "shop.png")


def shoot_desk(desk: Desk, page: Page) -> None:
    """Takes the picture of the takings of the desk."""
    desk.log_in(page, "/takings")
    shoot(page, FOLDER / "desk.png")


def shoot(page: Page, path: Path) -> None:
    """Writes what the page shows as a small PNG."""
    page.screenshot(path=path, animations="disabled")
    with Image.open(path) as picture:
        reduced = picture.convert("RGB").quantize(COLORS)
    reduced.save(path, optimize=True)


if __name__ == "__main__":
    main()
