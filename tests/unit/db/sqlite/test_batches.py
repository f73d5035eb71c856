"""Batches of the stores against models that take one buy at a time: Hypothesis searches for a difference.

The stores read, decide and write a batch by sets. The result must be as if the buys had come one by one, also when a
key is twice in the batch, when several buys want the last pieces, and for the numbers of the orders.
"""

import shutil
from collections.abc import Callable, Sequence
from contextlib import closing
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
from domain.errors import KeyReused, OutOfStock, ProductNotFound, Refused, StoreError
from domain.protocols import Placed, Sale
from domain.values import Buy, Product, Sold
from tests.support.books import query

OWNERS_KEY = "the owner's"  # the key of a restock
STOCK = {"Tux": 5, "Bird": 1, "Old": 9}  # Old is retired
PRICES = {"Tux": 2599, "Bird": 3999}
BUYS = st.builds(
    Buy,
    key=st.sampled_from(["a", "b", "c", OWNERS_KEY]),
    product=st.sampled_from([*STOCK, "Nix"]),
    quantity=st.integers(1, 2),
)
SALES = st.sampled_from([Sold(1), Sold(2), OutOfStock(), ProductNotFound(), KeyReused()])
MANY_EXAMPLES = settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


class LogModel:
    """A model of the order log, which begins and finishes one buy at a time."""

    def __init__(self) -> None:
        self.orders: list[tuple[Buy, int]] = []
        self.refused: dict[str, tuple[Buy, Refused]] = {}
        self.intents: dict[str, Buy] = {}

    def begin(self, buys: Sequence[Buy]) -> list[Placed | None]:
        return [self._begin(buy) for buy in buys]

    def finish(self, sales: Sequence[tuple[Buy, Sale]]) -> list[Placed]:
        """Raises ConstraintError, and has written nothing, when a buy has not begun."""
        before = list(self.orders), dict(self.refused), dict(self.intents)
        try:
            return [self._finish(buy, sale) for buy, sale in sales]
        except apsw.ConstraintError:
            self.orders, self.refused, self.intents = before
            raise

    def _begin(self, buy: Buy) -> Placed | None:
        outcome = self._outcome(buy)
        if outcome is None and self.intents.setdefault(buy.key, buy) != buy:
            return KeyReused()
        return outcome

    def _finish(self, buy: Buy, sale: Sale) -> Placed:
        outcome = self._outcome(buy)
        if outcome is None:
            if not isinstance(sale, KeyReused) and self.intents.get(buy.key) != buy:
                raise apsw.ConstraintError
            if isinstance(sale, Sold):
                outcome = len(self.orders)
                self.orders.append((buy, sale.price_cents))
            else:
                outcome = sale
                if isinstance(sale, Refused):
                    self.refused[buy.key] = buy, sale
        if self.intents.get(buy.key) == buy:
            del self.intents[buy.key]
        return outcome

    def _outcome(self, buy: Buy) -> Placed | None:
        for number, (known, _) in enumerate(self.orders):
            if known.key == buy.key:
                return number if known == buy else KeyReused()
        if buy.key in self.refused:
            known, refusal = self.refused[buy.key]
            return refusal if known == buy else KeyReused()
        return None


class CatalogModel:
    """A model of the catalog, which sells one buy at a time."""

    def __init__(self) -> None:
        self.stock = dict(STOCK)
        self.entries: list[tuple[object, ...]] = []
        self.outcomes: dict[str, tuple[Buy, Reason | None, Sale]] = {}

    def sell(self, buy: Buy, reason: Reason) -> Sale:
        if buy.key == OWNERS_KEY:
            return KeyReused()
        if buy.key not in self.outcomes:
            sale = self._take(buy, reason)
            # A refusal has taken no pieces, so its key fits a sale and a decrement.
            self.outcomes[buy.key] = buy, reason if isinstance(sale, Sold) else None, sale
        known, taken_as, sale = self.outcomes[buy.key]
        return sale if known == buy and taken_as in (reason, None) else KeyReused()

    def _take(self, buy: Buy, reason: Reason) -> Sale:
        if buy.product not in PRICES:
            return ProductNotFound()
        if self.stock[buy.product] < buy.quantity:
            return OutOfStock()
        self.stock[buy.product] -= buy.quantity
        price_cents = PRICES[buy.product]
        self.entries.append((buy.product, -buy.quantity, self.stock[buy.product], reason, buy.key, price_cents))
        return Sold(price_cents)


@pytest.fixture(scope="module")
def new_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both databases, as they are before the first buy."""
    folder = tmp_path_factory.mktemp("new")
    with closing(OrderStore(folder / "order.db")) as orders, closing(CatalogStore(folder / "catalog.db")) as catalog:
        orders.migrate()
        catalog.migrate()
        catalog.load([Product(name, PRICES.get(name, 1), STOCK[name] - (name == "Tux")) for name in STOCK])
    with closing(ProductAdmin(folder / "catalog.db")) as owner:
        owner.restock("Tux", 1, OWNERS_KEY)
        owner.retire("Old", "another key of the owner's")
    return folder


BEGUN = st.integers(0, 5)  # the place of a buy among those that have begun
ENDS = st.tuples(st.one_of(BEGUN, BEGUN, BEGUN, BUYS), SALES)


@MANY_EXAMPLES
@given(batches=st.lists(st.lists(BUYS, max_size=8) | st.lists(ENDS, max_size=8), max_size=8), restarts=st.booleans())
def test_a_batch_of_the_log_equals_its_buys_one_by_one(
    new_files: Path, tmp_path: Path, batches: list[list[Buy] | list[tuple[Buy | int, Sale]]], restarts: bool
) -> None:
    path = Path(shutil.copy(new_files / "order.db", tmp_path))
    model = LogModel()
    begun: list[Buy] = []
    with closing(OrderStore(path)) as log:
        for batch in batches:
            buys = [buy for buy in batch if isinstance(buy, Buy)]
            ends = [end for end in batch if not isinstance(end, Buy)]
            begun += buys
            assert log.begin(buys) == model.begin(buys)
            sales = [(begun[at % len(begun)] if isinstance(at, int) else at, sale) for at, sale in ends if begun]
            assert outcome(log.finish, sales) == outcome(model.finish, sales)
            if restarts:
                log.close()
    orders = query(path, "SELECT number, key, product, quantity, price_cents FROM orders ORDER BY number")
    assert orders == [(number, *row(buy), price) for number, (buy, price) in enumerate(model.orders)]
    refused = query(path, "SELECT key, product, quantity, reason FROM refused")
    assert set(refused) == {(*row(buy), refusal.message) for buy, refusal in model.refused.values()}
    intents = query(path, "SELECT key, product, quantity FROM intents ORDER BY begun")
    assert intents == [row(buy) for buy in model.intents.values()]


@MANY_EXAMPLES
@given(
    batches=st.lists(st.tuples(st.lists(BUYS, max_size=8), st.sampled_from(["sold", "sold", "decrement"])), max_size=5),
    restarts=st.booleans(),
)
def test_a_batch_of_sales_equals_its_buys_one_by_one(
    new_files: Path, tmp_path: Path, batches: list[tuple[list[Buy], Reason]], restarts: bool
) -> None:
    path = Path(shutil.copy(new_files / "catalog.db", tmp_path))
    model = CatalogModel()
    with closing(CatalogStore(path)) as catalog:
        for buys, reason in batches:
            sales = [model.sell(buy, reason) for buy in buys]
            if reason == "sold":
                assert catalog.sell(buys) == sales
            else:
                assert [error_of_decrement(catalog, buy) for buy in buys] == [
                    None if isinstance(sale, Sold) else sale for sale in sales
                ]
            if restarts:
                catalog.close()
    assert dict(query(path, "SELECT name, quantity FROM products")) == model.stock
    entries = query(
        path,
        "SELECT product, delta, balance, reason, key, price_cents FROM stock_ledger WHERE delta < 0 ORDER BY entry",
    )
    assert entries == model.entries
    refused = query(path, "SELECT key, product, quantity, reason FROM refused")
    refusals = {(*row(buy), sale.message) for buy, _, sale in model.outcomes.values() if isinstance(sale, Refused)}
    assert set(refused) == refusals


def outcome(
    finish: Callable[[Sequence[tuple[Buy, Sale]]], list[Placed]], sales: Sequence[tuple[Buy, Sale]]
) -> list[Placed] | None:
    """Returns the results of the buys, or None when the schema refuses the end of a buy that has not begun."""
    try:
        return finish(sales)
    except apsw.ConstraintError:
        return None


def error_of_decrement(catalog: CatalogStore, buy: Buy) -> StoreError | None:
    """Returns the error of a direct decrement, or None when it was sold."""
    try:
        catalog.decrement(buy)
    except StoreError as error:
        return error
    return None


def row(buy: Buy) -> tuple[str, str, int]:
    """Returns the columns of a buy that every table has."""
    return buy.key, buy.product, buy.quantity


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
