"""Races of several workers on one pair of SQLite databases."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from db.sqlite.catalog import CatalogStore
from db.sqlite.order import OrderStore
from domain.checkout import Checkout
from tests.contracts.races import TICKET, WORKERS, RacesContract
from tests.support.books import Books


class TestRaces(RacesContract):
    """The threads of one worker take turns; those of two workers compete for SQLite's lock."""

    @pytest.fixture
    def workers(self, tmp_path: Path) -> list[Checkout]:
        catalog, orders = CatalogStore(tmp_path / "catalog.db"), OrderStore(tmp_path / "order.db")
        catalog.migrate()
        orders.migrate()
        catalog.load([TICKET])
        catalog.close()
        orders.close()
        return [
            Checkout(OrderStore(tmp_path / "order.db"), CatalogStore(tmp_path / "catalog.db")) for _ in range(WORKERS)
        ]

    @pytest.fixture
    def read_books(self, tmp_path: Path) -> Callable[[], Books]:
        return partial(Books.read, tmp_path)
