"""Batches of the stores against models that take one buy at a time: Hypothesis searches for a difference.

The stores read, decide and write a batch by sets. The result must be as if the buys had come one by one, also when a
key is twice in the batch, when several buys want the last pieces, and for the numbers of the orders.
"""

import shutil
from contextlib import closing
from functools import partial
from pathlib import Path

import apsw
import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from db.sales import Reason
from db.sqlite import catalog as catalog_store
from db.sqlite import order as order_store
from db.sqlite.catalog import CatalogStore
from db.sqlite.order import OrderStore
from db.sqlite.product_admin import ProductAdmin
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
from tests.support.books import query

MANY_EXAMPLES = settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def new_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both databases, as they are before the first buy."""
    folder = tmp_path_factory.mktemp("new")
    with closing(OrderStore(folder / "order.db")) as orders, closing(CatalogStore(folder / "catalog.db")) as catalog:
        orders.migrate()
        catalog.migrate()
        with closing(ProductAdmin(folder / "catalog.db")) as owner:
            fill(owner)
    return folder


@MANY_EXAMPLES
@given(batches=LOG_BATCHES, restarts=st.booleans())
def test_a_batch_of_the_log_equals_its_buys_one_by_one(
    new_files: Path, tmp_path: Path, batches: list[list[Buy] | list[tuple[Buy | int, Sale]]], restarts: bool
) -> None:
    path = Path(shutil.copy(new_files / "order.db", tmp_path))
    model = LogModel()
    begun: list[Buy] = []
    with closing(OrderStore(path)) as log:
        for batch in batches:
            assert_logs_as(model, log, batch, begun, apsw.ConstraintError)
            if restarts:
                log.close()
    model.check(partial(query, path))


@MANY_EXAMPLES
@given(
    batches=SALE_BATCHES,
    restarts=st.booleans(),
)
def test_a_batch_of_sales_equals_its_buys_one_by_one(
    new_files: Path, tmp_path: Path, batches: list[tuple[list[Buy], Reason]], restarts: bool
) -> None:
    path = Path(shutil.copy(new_files / "catalog.db", tmp_path))
    model = CatalogModel()
    with closing(CatalogStore(path)) as catalog:
        for buys, reason in batches:
            assert_sells_as(model, catalog, buys, reason)
            if restarts:
                catalog.close()
    model.check(partial(query, path))


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The statements of all connections that are opened from now on, in their order."""
    executed: list[str] = []

    def record(_cursor: object, sql: str, _values: object) -> bool:
        executed.append(sql)
        return True  # the statement runs

    def trace(connection: apsw.Connection) -> None:
        connection.exec_trace = record

    monkeypatch.setattr(apsw, "connection_hooks", [trace])
    return executed


@pytest.mark.parametrize("size", [1, 30])
def test_a_batch_is_one_transaction_and_its_look_ups_do_not_grow_with_it(
    orders: OrderStore, catalog: CatalogStore, statements: list[str], size: int
) -> None:
    """Were look-up and write two transactions, an equal buy could come between them, and both would be sold."""
    buys = [Buy(f"key-{number}", "Tux", 1) for number in range(size)]
    for store, work, look_ups in (
        (orders, lambda: orders.begin(buys), [order_store._LOGGED]),
        (catalog, lambda: catalog.sell(buys), [catalog_store._OUTCOMES, catalog_store._PRODUCTS]),
        (orders, lambda: orders.finish([(buy, Sold(2599)) for buy in buys]), [order_store._LOGGED]),
    ):
        store.close()
        store.require_writable()  # it opens its connection
        statements.clear()
        work()
        assert (statements[0], statements[-1]) == ("BEGIN IMMEDIATE", "COMMIT")
        assert [sql for sql in statements[1:-1] if not sql.lstrip().startswith(("INSERT", "DELETE"))] == look_ups


@pytest.mark.parametrize(
    ("file", "sql"),
    [
        ("order.db", order_store._LOGGED),
        ("order.db", order_store._KNOWN),
        ("order.db", order_store._IN_DOUBT),
        ("catalog.db", catalog_store._OUTCOMES),
        ("catalog.db", catalog_store._PRODUCTS),
    ],
)
def test_a_look_up_of_many_keys_reads_no_table_from_end_to_end(new_files: Path, file: str, sql: str) -> None:
    values = {"keys": "[]", "names": "[]", "reason": "sold"}
    with closing(apsw.Connection(str(new_files / file), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
        steps = [step for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
    assert any(step.startswith("SEARCH") for step in steps)
    assert all("VIRTUAL TABLE" in step for step in steps if step.startswith("SCAN")), steps


@pytest.mark.parametrize("name", ['"', "\\", "'", "\\u0041", "[1, 2]", "null", "7", "É", "雪", "🐧", "\ufffe", "a b"])
def test_a_name_is_looked_up_as_it_is(catalog: CatalogStore, tmp_path: Path, name: str) -> None:
    with closing(ProductAdmin(tmp_path / "catalog.db")) as owner:
        owner.add(Product(name, 1, 1), "key")
    assert catalog.lookup([name, "Tux", name]) == [Product(name, 1, 1), Product("Tux", 2599, 80), Product(name, 1, 1)]
    assert catalog.sell([Buy(f"{name}-1", name, 1), Buy(f"{name}-2", name, 1)]) == [Sold(1), OutOfStock()]
