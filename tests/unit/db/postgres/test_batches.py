"""Batches of the stores on PostgreSQL against models that take one buy at a time."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any, NamedTuple

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings

from db.postgres import catalog, order
from db.postgres.catalog import CatalogStore
from db.postgres.database import Database
from db.postgres.order import OrderStore
from db.postgres.owner_catalog import OwnerCatalogStore
from db.sales import Reason
from domain.errors import OutOfStock
from domain.protocols import Sale
from domain.values import Buy, Product, Sold
from tests.support.batch_models import (
    LOG_BATCHES,
    SALE_BATCHES,
    CatalogModel,
    LogModel,
    assert_logs_as,
    assert_sells_as,
    fill,
)
from tests.support.postgres import TestServer
from tests.support.postgres_reset import Reset, resettable

Shell = psycopg.Connection[tuple[Any, ...]]


class Store(NamedTuple):
    """A store with the model's stock, and an empty log."""

    catalog: CatalogStore
    log: OrderStore
    shell: Shell
    reset: Reset

    def query(self, sql: str) -> list[Any]:
        """Returns all rows of a query."""
        return self.shell.execute(sql.encode()).fetchall()


def create(address: str) -> None:
    with closing(Database(address, catalog.SCHEMA)) as database:
        CatalogStore(database).migrate()
        fill(OwnerCatalogStore(database))
    with closing(Database(address, order.SCHEMA)) as database:
        OrderStore(database).migrate()


@pytest.fixture(scope="module")
def store(postgres_server: TestServer) -> Iterator[Store]:
    with (
        postgres_server.database(create) as address,
        closing(Database(address, catalog.SCHEMA)) as catalog_database,
        closing(Database(address, order.SCHEMA)) as log_database,
        psycopg.connect(address, autocommit=True) as shell,
        resettable(address, catalog.SCHEMA, order.SCHEMA) as reset,
    ):
        yield Store(CatalogStore(catalog_database), OrderStore(log_database), shell, reset)


MANY_EXAMPLES = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@MANY_EXAMPLES
@given(batches=SALE_BATCHES)
def test_a_batch_of_sales_equals_its_buys_one_by_one(store: Store, batches: list[tuple[list[Buy], Reason]]) -> None:
    store.reset()
    store.shell.execute("SET search_path TO catalog")
    model = CatalogModel()
    for buys, reason in batches:
        assert_sells_as(model, store.catalog, buys, reason)
    model.check(store.query)


@MANY_EXAMPLES
@given(batches=LOG_BATCHES)
def test_a_batch_of_the_log_equals_its_buys_one_by_one(
    store: Store, batches: list[list[Buy] | list[tuple[Buy | int, Sale]]]
) -> None:
    store.reset()
    store.shell.execute("SET search_path TO log")
    model = LogModel()
    begun: list[Buy] = []
    for batch in batches:
        assert_logs_as(model, store.log, batch, begun, psycopg.IntegrityError)
    model.check(store.query)


@pytest.mark.parametrize("size", [1, 112])
def test_a_batch_is_two_round_trips(
    catalog: CatalogStore, catalog_database: Database, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """The first one locks and reads, the second one writes and commits."""
    trips: list[object] = []
    run = catalog_database.run

    def counted(work: Any) -> Any:
        def with_session(session: Any) -> Any:
            class Counting:
                def fetch_together(self, *statements: Any) -> Any:
                    trips.append("read")
                    return session.fetch_together(*statements)

                def commit_with(self, *statements: Any) -> Any:
                    trips.append("commit")
                    return session.commit_with(*statements)

            return work(Counting())

        return run(with_session)

    monkeypatch.setattr(catalog_database, "run", counted)
    buys = [Buy(f"k{number}", ("Tux", "Bird", "Nix")[number % 3], 1) for number in range(size)]
    catalog.sell(buys)
    assert trips == ["read", "commit"]


@pytest.mark.parametrize(
    "name", ['"', "\\", "'", "\\u0041", "{1,2}", "NULL", "7", "É", "雪", "🐧", "\ufffe", "a b", "%s", ":x"]
)
def test_a_name_is_looked_up_as_it_is(catalog: CatalogStore, owner_catalog: OwnerCatalogStore, name: str) -> None:
    owner_catalog.add(Product(name, 1, 1), "key")
    assert catalog.lookup([name, "Tux", name]) == [Product(name, 1, 1), Product("Tux", 2599, 80), Product(name, 1, 1)]
    assert catalog.sell([Buy(f"{name}-1", name, 1), Buy(f"{name}-2", name, 1)]) == [Sold(1), OutOfStock()]
