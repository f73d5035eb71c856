"""The store of the owner's order log keeps its contract, and its pages and steps are exact beside buys."""

import json
from contextlib import closing
from itertools import count
from pathlib import Path
from threading import Event

import apsw
import pytest

from db.sqlite import owner_orders as owner_orders_module
from db.sqlite.order import OrderStore
from db.sqlite.owner_orders import OwnerOrderStore
from domain.checkout import Checkout
from domain.errors import Invalid
from domain.owner import Selection
from domain.values import MAX_PRICE_CENTS, MAX_QUANTITY, Buy, Sold
from tests.contracts.owner_orders import OrderBooksContract
from tests.support.at_once import at_once
from tests.support.owner_log import all_pages, keys_on


class TestOwnerOrderStore(OrderBooksContract):
    """The order log's file."""

    @pytest.fixture
    def subject(self, history: None, owner_orders: OwnerOrderStore) -> OwnerOrderStore:
        return owner_orders


def log(orders: OrderStore, *buys: Buy, price_cents: int = 100) -> None:
    """Logs the buys as orders, without a catalog."""
    orders.begin(buys)
    orders.finish([(buy, Sold(price_cents)) for buy in buys])


def test_a_page_is_encoded_by_sqlite_as_json(owner_orders: OwnerOrderStore, orders: OrderStore) -> None:
    log(orders, Buy("k", "Tux", 1))
    page = json.loads(owner_orders.encoded_buys(Selection(), limit=1))
    assert page["data"][0][1:] == [0, "k", "Tux", 1, 100, None, 0]
    assert page["next"] is None


def test_pages_are_exact_while_many_buy(owner_orders: OwnerOrderStore, checkout: Checkout, orders: OrderStore) -> None:
    log(orders, *(Buy(f"old{number}", "Tux", 1) for number in range(50)))
    begun, enough = Event(), Event()

    def read() -> list[str]:
        begun.wait(60)
        try:
            return [key for page in all_pages(owner_orders, Selection(), 3) for key in keys_on(page)]
        finally:
            enough.set()
            owner_orders.close()

    def buy(shopper: int) -> list[str]:
        for number in count():
            checkout.place_all([Buy(f"new{shopper}-{number}", "Bird", 1)])
            begun.set()
            if enough.is_set():
                break
        return []

    keys, *_ = at_once(lambda thread: buy(thread) if thread else read(), threads=3)
    assert len(keys) == len(set(keys))
    assert [key for key in keys if key.startswith("old")] == [f"old{number}" for number in reversed(range(50))]


def test_takings_are_the_same_in_steps_of_any_size(
    monkeypatch: pytest.MonkeyPatch, owner_orders: OwnerOrderStore, orders: OrderStore
) -> None:
    log(orders, *(Buy(f"k{number}", f"p{number % 3}", number + 1) for number in range(10)))
    whole = owner_orders.takings(Selection())
    for step in (1, 3, 9, 10):
        monkeypatch.setattr("db.owner_orders.STEP", step)
        assert owner_orders.takings(Selection()) == whole
    assert [line.sold for line in whole] == [1 + 4 + 7 + 10, 2 + 5 + 8, 3 + 6 + 9]


def test_takings_may_be_above_the_integers_of_sqlite(owner_orders: OwnerOrderStore, orders: OrderStore) -> None:
    log(orders, *(Buy(f"k{number}", "p", MAX_QUANTITY) for number in range(200)), price_cents=MAX_PRICE_CENTS)
    [line] = owner_orders.takings(Selection())
    assert line.sold_cents == 200 * MAX_QUANTITY * MAX_PRICE_CENTS > 2**63


def test_too_many_takings_are_refused(
    monkeypatch: pytest.MonkeyPatch, owner_orders: OwnerOrderStore, orders: OrderStore
) -> None:
    log(orders, Buy("a", "p", 1), Buy("b", "q", 1))
    monkeypatch.setattr("db.owner_orders.MAX_TAKINGS", 1)
    with pytest.raises(Invalid, match="choose a shorter time or one product"):
        owner_orders.takings(Selection())
    assert len(owner_orders.takings(Selection(product="q"))) == 1


def test_the_books_have_the_sizes_of_both_files(owner_orders: OwnerOrderStore, checkout: Checkout) -> None:
    owner_orders.books()  # its connection empties the write-ahead log when it opens
    checkout.place(Buy("k", "Tux", 1))
    names = [name for name, size in owner_orders.books().bytes_by_file if size]
    assert names == ["catalog.db", "catalog.db-wal", "order.db", "order.db-wal"]


def test_the_books_leave_out_a_file_that_is_elsewhere(owner_orders: OwnerOrderStore, tmp_path: Path) -> None:
    for file in tmp_path.glob("catalog.db*"):
        file.unlink()
    assert [name for name, _ in owner_orders.books().bytes_by_file] == ["order.db", "order.db-wal"]


def test_a_page_is_a_range_of_both_tables(tmp_path: Path, owner_orders: OwnerOrderStore) -> None:
    columns = ("first", "end", "product", "key", "since", "until", "refused_since", "before_time", "before_key")
    values = dict.fromkeys((*columns, "with_refused", "limit"))
    with closing(apsw.Connection(str(tmp_path / "order.db"))) as connection:
        plan = connection.execute(f"EXPLAIN QUERY PLAN {owner_orders_module._PAGE}", values).fetchall()
    steps = {str(step) for *_, step in plan}
    assert "SEARCH orders USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)" in steps
    assert "SEARCH refused USING COVERING INDEX refused_by_time (time>? AND (time,key)<(?,?))" in steps
