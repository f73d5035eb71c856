"""A running store for the tests of its shop: its addresses, its products, and the books behind them."""

import os
import re
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Locator, Page, expect

from db.sqlite.product_admin import ProductAdmin
from domain.values import Product
from tests.support.books import Books, query
from tests.support.tiers import Tiers

PRICE_CENTS = 2599


class Shop:
    """The shop of a running store. Each test adds products of its own, so that tests can share a store."""

    def __init__(self, tiers: Tiers) -> None:
        self.tiers = tiers
        self.url = tiers.url("front_end")
        self._catalog = tiers.data_dir / "catalog.db"
        self._numbers = count(1)
        self._log = tiers.data_dir / "order.db"

    def address(self, product: str) -> str:
        """Returns the address of the page of a product."""
        return f"{self.url}/shop/{quote(product, safe='')}"

    def receipt(self, key: str) -> str:
        """Returns the address of a receipt."""
        return f"{self.url}/receipts/{quote(key, safe='')}"

    def add(self, name: str, quantity: int = 20, price_cents: int = PRICE_CENTS) -> str:
        """Adds a product beside the running store, and returns its name."""
        with closing(ProductAdmin(self._catalog)) as admin:
            admin.add(Product(name, price_cents, quantity), f"add {name}"[:128])
        return name

    def new(self, name: str = "Toy", quantity: int = 20) -> str:
        """Adds a product with a number of its own after this name, and returns its whole name."""
        return self.add(f"{name} {next(self._numbers):03}", quantity)

    def write_off(self, name: str, quantity: int) -> None:
        """Takes pieces out of the stock."""
        with closing(ProductAdmin(self._catalog)) as admin:
            admin.writeoff(name, quantity, "broken", f"write off {name}"[:128])

    def retire(self, name: str) -> None:
        """Takes the product off the shop."""
        with closing(ProductAdmin(self._catalog)) as admin:
            admin.retire(name, f"retire {name}"[:128])

    def orders(self, product: str) -> list[tuple[int, str, int]]:
        """Returns number, key and pieces of each order of a product."""
        rows = query(self._log, "SELECT number, key, quantity, product FROM orders ORDER BY number")
        return [(number, key, quantity) for number, key, quantity, name in rows if name == product]

    def stock(self, product: str) -> int:
        """Returns the pieces in stock."""
        return Books.read(self.tiers.data_dir).products[product]

    def sold_once(self, product: str, pieces: int = 1) -> str:
        """Asserts that the product was sold by one order of so many pieces, and returns its key."""
        Books.at_rest(self.tiers.data_dir).check()
        [(_, key, quantity)] = self.orders(product)
        assert quantity == pieces
        return key

    @contextmanager
    def suspended(self, name: str) -> Iterator[None]:
        """Suspends the workers of a tier until the end of the block: they keep their connections and answer nothing."""
        with _suspended(self.tiers.workers(name)):
            yield

    @contextmanager
    def unattended(self, name: str) -> Iterator[None]:
        """Suspends the master of a tier until the end of the block: it replaces no worker that is killed."""
        with _suspended([self.tiers.master(name)]):
            yield


@contextmanager
def _suspended(pids: Sequence[int]) -> Iterator[None]:
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def buy_button(page: Page) -> Locator:
    """Returns the button of a product's page that buys."""
    return page.get_by_role("button", name=re.compile("^buy", re.IGNORECASE))


def pieces(page: Page) -> Locator:
    """Returns the field of a product's page for the number of pieces."""
    return page.get_by_role("spinbutton")


def expect_receipt(page: Page, product: str, quantity: int = 1, *, total: str | None = None) -> None:
    """Waits for the receipt of an order, which may come by itself after an outage."""
    expect(page).to_have_url(re.compile("/receipts/"))
    main = page.get_by_role("main")
    expect(main).to_contain_text(re.compile(r"order", re.IGNORECASE))
    expect(main.get_by_text("Total", exact=False).first).to_be_visible()
    expect(main).to_contain_text(product)
    expect(main).to_contain_text(total or f"{quantity * PRICE_CENTS // 100}.{quantity * PRICE_CENTS % 100:02}")


def folder_of_gunicorn_files(folder: Path, lines: Mapping[str, str]) -> dict[str, str]:
    """Writes a gunicorn settings file for each tier with these lines of Python, and returns the files by tier."""
    files = {}
    for tier, text in lines.items():
        path = folder / f"{tier}.py"
        path.write_text(text)
        files[tier] = str(path)
    return files
