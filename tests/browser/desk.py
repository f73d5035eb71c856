"""A running store with a back office, for the tests of the owner's desk."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.shop import Shop
from tests.support.tiers import Tiers, running

SECRET = "the-secret-of-the-owner-in-these-tests"


class Desk:
    """The owner's desk of a running store, and its shop."""

    def __init__(self, tiers: Tiers) -> None:
        self.tiers = tiers
        self.url = tiers.url("back_office")
        self.shop = Shop(tiers)

    def log_in(self, page: Page, path: str = "/") -> None:
        """Opens a page of the desk, which asks for the secret, and sends it."""
        page.goto(self.url + path)
        page.get_by_label("secret").fill(SECRET)
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("button", name="Log out")).to_be_visible()


@contextmanager
def desk_of_a_store(data_dir: Path, **settings: str) -> Iterator[Desk]:
    """Runs all tiers of a store, the back office too, until the end of the block."""
    with running(data_dir, OWNER_SECRET=SECRET, BACKUP_DIR=str(data_dir.with_name("backups")), **settings) as tiers:
        tiers.start("back_office")
        yield Desk(tiers)
