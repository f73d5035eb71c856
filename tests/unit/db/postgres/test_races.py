"""Races of several workers on one store on PostgreSQL, each with connections of its own."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from typing import Any

import psycopg
import pytest

from db.postgres import catalog, order
from db.postgres.catalog import CatalogStore
from db.postgres.database import Database
from db.postgres.order import OrderStore
from db.postgres.owner_catalog import OwnerCatalogStore
from domain.checkout import Checkout
from domain.values import Buy
from tests.contracts.races import TICKET, WORKERS, RacesContract
from tests.support.at_once import at_once
from tests.support.books import Books
from tests.support.history import History

# For each worker and schema: fewer than the worker has threads, and together fewer than the server takes.
MAX_CONNECTIONS = 4


class TestRaces(RacesContract):
    """The workers compete for the locks of keys, products and the newest number."""

    @pytest.fixture
    def workers(self, store_address: str, owner_catalog: OwnerCatalogStore) -> Iterator[list[Checkout]]:
        owner_catalog.add(TICKET, "added")
        with ExitStack() as databases:

            def database(schema: str) -> Database:
                return databases.enter_context(closing(Database(store_address, schema, MAX_CONNECTIONS)))

            yield [
                Checkout(OrderStore(database(order.SCHEMA)), CatalogStore(database(catalog.SCHEMA)))
                for _ in range(WORKERS)
            ]

    @pytest.fixture
    def read_books(
        self, query_catalog: Callable[[str], list[Any]], query_log: Callable[[str], list[Any]]
    ) -> Callable[[], Books]:
        return partial(Books.read_by, query_catalog, query_log)

    def test_the_tables_of_locks_may_be_emptied_at_any_time(
        self, workers: list[Checkout], read_books: Callable[[], Books], store_address: str
    ) -> None:
        """Whoever empties them waits for the transactions that have locks there, and the next ones lock anew."""
        history = History()

        def shop(number: int) -> None:
            if number == 0:
                with psycopg.connect(store_address, autocommit=True) as shell:
                    for _ in range(30):
                        shell.execute("TRUNCATE catalog.keys, log.keys")
                return
            for turn in range(20):
                history.buy(workers[number % WORKERS], Buy(f"key-{turn}", "Ticket", 3))

        at_once(shop, 16)
        books = read_books()
        history.check(books)
        assert books.products["Ticket"] == 1_000 - 20 * 3
