"""The whole store in one process, because a simulated disk exists only in its process."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from db.sqlite.catalog import CatalogStore
from db.sqlite.order import OrderStore
from domain.checkout import Checkout
from domain.errors import StoreError, Unavailable
from domain.returns import Return, Returned, Returns
from domain.values import Buy, Product
from wsgi_apps.recovery import MAX_INTENTS

PRODUCTS = [Product("Ticket", 5_000, 60), Product("Tux", 2_599, 10_000)]


class LocalStore:
    """The two databases of a folder, and the checkout and the returns that use them."""

    def __init__(self, folder: Path) -> None:
        self._catalog = CatalogStore(folder / "catalog.db")
        self._orders = OrderStore(folder / "order.db")
        self.checkout = Checkout(self._orders, self._catalog)
        self.returns = Returns(self._orders, self._catalog)

    def prepare(self) -> None:
        """Prepares the store as the tiers do before they serve: migrates, loads products, settles what is in doubt."""
        self._catalog.migrate()
        if self._catalog.is_empty():
            self._catalog.load(PRODUCTS)
        self._orders.migrate()
        self.checkout.settle(self.checkout.intents(MAX_INTENTS))
        self.returns.settle(self.returns.intents(MAX_INTENTS))

    def close(self) -> None:
        """Closes this thread's connections."""
        self._catalog.close()
        self._orders.close()


def answers(checkout: Checkout, buys: Sequence[Buy]) -> list[str]:
    """Places the buys, again while the store is unavailable. Returns each order's number, or why it was refused."""
    while True:
        try:
            placed = checkout.place_all(buys)
        except Unavailable:
            continue
        return [answer.message if isinstance(answer, StoreError) else str(answer) for answer in placed]


def answers_to_returns(returns: Returns, asked: Sequence[Return]) -> list[Returned | str]:
    """Gives back, again while the store is unavailable. Returns each logged return, or why it was refused."""
    while True:
        try:
            outcomes = returns.give_back_all(asked)
        except Unavailable:
            continue
        return [outcome.message if isinstance(outcome, StoreError) else outcome for outcome in outcomes]


@contextmanager
def memory_folder() -> Iterator[Path]:
    """Yields a folder in memory where possible, where a sync is free: the simulated disk decides what is durable."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="toystore-", dir=memory) as folder:
        yield Path(folder)
