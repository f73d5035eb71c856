"""Batches against models that take one buy after the other: Hypothesis searches for a batch in which they differ.

A batch is read, decided and written by sets. Nobody may see that: a key that stands twice in it, pieces that several of
its buys want, and the numbers of its orders come out as if each buy had been alone.
"""

import shutil
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import apsw
import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from db import catalog as catalog_store
from db import order as order_store
from db.catalog import CatalogStore, Reason
from db.order import OrderStore
from db.product_admin import ProductAdmin
from domain.errors import KeyReused, OutOfStock, ProductNotFound, Refused
from domain.protocols import Receipt, Sale, Step
from domain.values import Buy, Order, Product, Sold
from tests.support.books import query

OWNERS_KEY = "the owner's"  # under it pieces were added
STOCK = {"Tux": 5, "Bird": 1, "Old": 9}  # Old is retired
PRICES = {"Tux": 2599, "Bird": 3999}
BUYS = st.builds(
    Buy,
    key=st.sampled_from(["a", "b", "c", OWNERS_KEY]),
    product=st.sampled_from([*STOCK, "Nix"]),
    quantity=st.integers(1, 2),
)
SALES = st.sampled_from([Sold(1), Sold(2), OutOfStock(), ProductNotFound(), KeyReused()])
many = settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


class LogModel:
    """The order log, in which one step is taken after the other."""

    def __init__(self) -> None:
        self.orders: list[tuple[Buy, int]] = []
        self.refused: dict[str, tuple[Buy, Refused]] = {}
        self.intents: dict[str, Buy] = {}

    def write(self, steps: Sequence[Step]) -> list[object]:
        """The receipts. Raises ConstraintError, and has written nothing, when an end has no beginning."""
        before = list(self.orders), dict(self.refused), dict(self.intents)
        try:
            return [self._begin(buy) if sale is None else self._finish(buy, sale) for buy, sale in steps]
        except apsw.ConstraintError:
            self.orders, self.refused, self.intents = before
            raise

    def _begin(self, buy: Buy) -> object:
        receipt = self._receipt(buy)
        if receipt is None and self.intents.setdefault(buy.key, buy) != buy:
            return KeyReused()
        return receipt

    def _finish(self, buy: Buy, sale: Sale) -> object:
        receipt = self._receipt(buy)
        if receipt is None:
            if not isinstance(sale, KeyReused) and self.intents.get(buy.key) != buy:
                raise apsw.ConstraintError
            if isinstance(sale, Sold):
                self.orders.append((buy, sale.price_cents))
            elif isinstance(sale, Refused):
                self.refused[buy.key] = buy, sale
            receipt = sale if isinstance(sale, KeyReused) else self._receipt(buy)
        if self.intents.get(buy.key) == buy:
            del self.intents[buy.key]
        return receipt

    def _receipt(self, buy: Buy) -> object:
        for number, (known, price_cents) in enumerate(self.orders):
            if known.key == buy.key:
                return (number, buy.product, buy.quantity, price_cents) if known == buy else KeyReused()
        if buy.key in self.refused:
            known, refusal = self.refused[buy.key]
            return refusal if known == buy else KeyReused()
        return None


class CatalogModel:
    """The catalog, which sells one buy after the other."""

    def __init__(self) -> None:
        self.stock = dict(STOCK)
        self.entries: list[tuple[object, ...]] = []
        self.outcomes: dict[str, tuple[Buy, Reason | None, Sale]] = {}

    def sell(self, buy: Buy, reason: Reason) -> Sale:
        if buy.key == OWNERS_KEY:
            return KeyReused()
        if buy.key not in self.outcomes:
            sale = self._take(buy, reason)
            # A refusal took nothing, so it says nothing of how it would have been taken.
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


def a_copy(file: Path, folder: Path) -> Path:
    return Path(shutil.copy(file, folder))


@many
@given(batches=st.lists(st.lists(st.tuples(BUYS, st.none() | SALES), max_size=8), max_size=5), restarts=st.booleans())
def test_a_batch_of_the_log_is_as_its_steps_one_after_the_other(
    new_files: Path, tmp_path: Path, batches: list[list[Step]], restarts: bool
) -> None:
    path = a_copy(new_files / "order.db", tmp_path)
    model = LogModel()
    with closing(OrderStore(path)) as log:
        for steps in batches:
            assert outcome(lambda: [without_time(receipt) for receipt in log.write(steps)]) == outcome(  # noqa: B023
                lambda: model.write(steps)  # noqa: B023
            )
            if restarts:
                log.close()
    orders = query(path, "SELECT number, key, product, quantity, price_cents FROM orders ORDER BY number")
    assert orders == [(number, *row(buy), price) for number, (buy, price) in enumerate(model.orders)]
    refused = query(path, "SELECT key, product, quantity, reason FROM refused")
    assert set(refused) == {(*row(buy), refusal.message) for buy, refusal in model.refused.values()}
    intents = query(path, "SELECT key, product, quantity FROM intents ORDER BY begun")
    assert intents == [row(buy) for buy in model.intents.values()]


@many
@given(
    batches=st.lists(st.tuples(st.lists(BUYS, max_size=8), st.sampled_from(["sold", "sold", "decrement"])), max_size=5),
    restarts=st.booleans(),
)
def test_a_batch_of_sales_is_as_its_buys_one_after_the_other(
    new_files: Path, tmp_path: Path, batches: list[tuple[list[Buy], Reason]], restarts: bool
) -> None:
    path = a_copy(new_files / "catalog.db", tmp_path)
    model = CatalogModel()
    with closing(CatalogStore(path)) as catalog:
        for buys, reason in batches:
            assert catalog.sell(buys, reason=reason) == [model.sell(buy, reason) for buy in buys]
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


def outcome(write: Callable[[], list[object]]) -> object:
    """The receipts; or that there are none, for the schema has refused an end without a beginning."""
    try:
        return write()
    except apsw.ConstraintError:
        return apsw.ConstraintError


def without_time(receipt: Receipt | None) -> object:
    if isinstance(receipt, Order):
        return receipt.number, receipt.product, receipt.quantity, receipt.price_cents
    return receipt


def row(buy: Buy) -> tuple[str, str, int]:
    return buy.key, buy.product, buy.quantity


def test_equal_buys_in_one_batch_have_one_receipt(orders: OrderStore) -> None:
    buy = Buy("k", "Tux", 1)
    first, second = orders.write([(buy, None), (buy, Sold(1)), (buy, None)])[1:]
    assert isinstance(first, Order)
    assert first == second


def test_another_buy_under_the_key_of_one_that_ends_in_the_same_batch_begins(orders: OrderStore) -> None:
    buy, other = Buy("k", "Tux", 1), Buy("k", "Bird", 1)
    assert orders.write([(buy, None), (buy, KeyReused()), (other, None)]) == [None, KeyReused(), None]
    assert orders.intents(10) == [other]


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The statements of connections that are opened from now on, in their order."""
    ran: list[str] = []

    def note(_cursor: object, sql: str, _values: object) -> bool:
        ran.append(sql)
        return True  # go on

    def watch(connection: apsw.Connection) -> None:
        connection.exec_trace = note

    monkeypatch.setattr(apsw, "connection_hooks", [watch])
    return ran


@pytest.mark.parametrize("size", [1, 30])
def test_a_batch_is_one_transaction_and_its_look_ups_do_not_grow_with_it(
    orders: OrderStore, catalog: CatalogStore, statements: list[str], size: int
) -> None:
    """Between a look-up and what follows from it nobody may come: in two transactions, both of two equal buys pass."""
    buys = [Buy(f"key-{number}", "Tux", 1) for number in range(size)]
    for store, work, look_ups in (
        (orders, lambda: orders.write([(buy, None) for buy in buys]), [order_store._LOGGED]),
        (catalog, lambda: catalog.sell(buys), [catalog_store._OUTCOMES, catalog_store._PRODUCTS]),
        (orders, lambda: orders.write([(buy, Sold(2599)) for buy in buys]), [order_store._LOGGED]),
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
