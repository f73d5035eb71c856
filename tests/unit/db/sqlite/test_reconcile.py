"""Reconcile settles sales without an order, returns that the log lacks, and what is overdue, and nothing else."""

from pathlib import Path

import pytest

from db.sqlite.audit import audit
from db.sqlite.backup import backup
from db.sqlite.catalog import CatalogStore
from db.sqlite.order import OrderStore
from db.sqlite.reconcile import reconcile
from db.sqlite.snapshots import Snapshots
from domain.checkout import Checkout
from domain.errors import Invalid, KeyReused, OutOfStock, Unavailable
from domain.limits import MAX_BATCH
from domain.protocols import Placed
from domain.returns import Return, Returned, ReturnOutcome, Returns
from domain.values import Buy
from tests.support.backups import no_progress
from tests.support.books import Books, query
from tests.support.forgery import forge

AN_HOUR_AGO = "UPDATE intents SET time = strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-1 hour')"


def repairable(data_dir: Path) -> list[Buy | Return]:
    """Returns the buys and returns that an audit would repair."""
    with Snapshots(data_dir) as snapshots:
        return [one.repair for one in audit(snapshots).discrepancies if one.repair is not None]


def reconcile_all(data_dir: Path) -> list[tuple[Buy | Return, Placed | ReturnOutcome]]:
    """Runs an audit, repairs the buys and returns that it finds, and returns the result of each."""
    return list(reconcile(data_dir, repairable(data_dir)))


def test_a_sale_missing_from_the_log_is_ordered_at_its_price(
    checkout: Checkout, catalog: CatalogStore, tmp_path: Path
) -> None:
    checkout.place(Buy("before", "Tux", 1))
    lost = [Buy(f"lost-{number}", "Tux", 1) for number in range(3)]
    catalog.sell(lost)
    forge(tmp_path / "catalog.db", "UPDATE products SET price_cents = 1 WHERE name = 'Tux'")
    assert reconcile_all(tmp_path) == [(buy, number) for number, buy in enumerate(lost, start=1)]
    prices = query(tmp_path / "order.db", "SELECT key, price_cents FROM orders")
    assert prices == [("before", 2599), *((buy.key, 2599) for buy in lost)]
    assert reconcile_all(tmp_path) == []
    Books.read(tmp_path).check()


def test_a_missing_last_order_is_appended_under_a_new_number(checkout: Checkout, tmp_path: Path) -> None:
    for key in "ab":
        checkout.place(Buy(key, "Tux", 1))
    forge(tmp_path / "order.db", "DELETE FROM orders WHERE key = 'b'")
    assert reconcile_all(tmp_path) == [(Buy("b", "Tux", 1), 2)]
    with Snapshots(tmp_path) as snapshots:
        left = [f"{one.where} {one.what}" for one in audit(snapshots).discrepancies]
    assert left == ["order 1 is missing"], "a number that was given out is not given out again"


def test_overdue_buys_in_doubt_are_settled(orders: OrderStore, catalog: CatalogStore, tmp_path: Path) -> None:
    sold, refused, unknown = Buy("sold", "Tux", 2), Buy("refused", "Tux", 81), Buy("unknown", "Bird", 3)
    orders.begin([sold, refused, unknown])
    catalog.sell([sold, refused])
    assert repairable(tmp_path) == [], "their requests may still be running"
    forge(tmp_path / "order.db", AN_HOUR_AGO)
    assert reconcile_all(tmp_path) == [(sold, 0), (refused, OutOfStock()), (unknown, 1)]
    books = Books.read(tmp_path)
    books.check()
    assert (books.products["Tux"], books.products["Bird"]) == (78, 95)
    assert books.refused == {"refused": "out of stock"}


def test_a_buy_in_doubt_whose_key_was_used_for_another_is_dropped(
    orders: OrderStore, catalog: CatalogStore, tmp_path: Path
) -> None:
    catalog.decrement(Buy("k", "Whale", 1))
    orders.begin([Buy("k", "Tux", 1)])
    forge(tmp_path / "order.db", AN_HOUR_AGO)
    assert reconcile_all(tmp_path) == [(Buy("k", "Tux", 1), KeyReused())]
    assert Books.read(tmp_path).orders == []
    assert orders.intents(1) == []


def test_reconcile_only_appends(checkout: Checkout, catalog: CatalogStore, tmp_path: Path) -> None:
    checkout.place(Buy("a", "Tux", 1))
    catalog.sell([Buy("lost", "Tux", 1)])
    tables = {"catalog.db": ("stock_ledger", "refused", "products"), "order.db": ("orders", "refused")}

    def rows() -> list[list[tuple[object, ...]]]:
        return [query(tmp_path / name, f"SELECT * FROM {table}") for name in tables for table in tables[name]]

    before = rows()
    reconcile_all(tmp_path)
    after = rows()
    assert before[:3] == after[:3], "the catalog has the sale already"
    assert after[3][:-1] == before[3], "one order is appended"


def test_many_buys_are_settled_in_batches(catalog: CatalogStore, orders: OrderStore, tmp_path: Path) -> None:
    lost = [Buy(f"lost-{number}", "Bird", 1) for number in range(95)]
    catalog.sell(lost)
    orders.begin([Buy(f"doubt-{number}", "Unicorn", 1) for number in range(MAX_BATCH)])
    forge(tmp_path / "order.db", AN_HOUR_AGO)
    assert len(reconcile_all(tmp_path)) == 95 + MAX_BATCH
    Books.read(tmp_path).check()


def test_a_lost_order_log_is_rebuilt_from_its_backup_and_the_ledger(checkout: Checkout, tmp_path: Path) -> None:
    for number in range(3):
        checkout.place(Buy(f"before-{number}", "Tux", 1))
    backup(tmp_path, tmp_path / "backup", no_progress)
    for number in range(3):
        checkout.place(Buy(f"after-{number}", "Bird", 1))
    survived = tmp_path / "survived"
    backup(tmp_path, survived, no_progress)
    (tmp_path / "backup" / "order.db").replace(survived / "order.db")
    assert [number for _, number in reconcile_all(survived)] == [3, 4, 5]
    books = Books.read(survived)
    books.check()
    assert {key for _, key, _, _ in books.orders[3:]} == {f"after-{number}" for number in range(3)}


@pytest.mark.parametrize("by", ["shopper", "reconcile"])
def test_a_concurrent_repair_of_the_same_buy_does_no_harm(
    checkout: Checkout, catalog: CatalogStore, tmp_path: Path, by: str
) -> None:
    lost = Buy("lost", "Tux", 1)
    catalog.sell([lost])
    buys = repairable(tmp_path)
    if by == "shopper":
        checkout.place(lost)
    else:
        list(reconcile(tmp_path, buys))
    assert list(reconcile(tmp_path, buys)) == [(lost, 0)]
    Books.read(tmp_path).check()


def test_a_buy_that_cannot_be_settled_does_not_block_the_others(
    orders: OrderStore, catalog: CatalogStore, tmp_path: Path
) -> None:
    buys = [Buy(f"k{number}", "Bird", 1) for number in range(9)]
    orders.begin(buys)
    forge(
        tmp_path / "catalog.db",
        "CREATE TRIGGER poison BEFORE INSERT ON stock_ledger WHEN NEW.key = 'k4' BEGIN SELECT RAISE(ABORT, 'odd'); END",
    )
    placed = dict(reconcile(tmp_path, buys))
    assert placed.pop(buys[4]) == Unavailable("odd")
    assert sorted(placed.values(), key=str) == list(range(8))
    assert orders.intents(10) == [buys[4]]


def test_a_discrepancy_that_needs_more_than_appending_stays(checkout: Checkout, tmp_path: Path) -> None:
    checkout.place(Buy("a", "Tux", 1))
    forge(
        tmp_path / "order.db",
        "INSERT INTO orders (key, product, quantity, price_cents) VALUES ('mine', 'Tux', 1, 1);"
        "UPDATE orders SET quantity = 2 WHERE key = 'a'",
    )
    assert reconcile_all(tmp_path) == []


def test_a_return_missing_from_the_log_is_logged_with_its_note(
    returns: Returns, checkout: Checkout, tmp_path: Path
) -> None:
    checkout.place(Buy("k", "Tux", 5))
    lost = Return("r", 0, 2, "torn")
    returns.give_back(lost)
    forge(tmp_path / "order.db", "DELETE FROM returns")
    [(repaired, outcome)] = reconcile_all(tmp_path)
    assert repaired == lost
    assert isinstance(outcome, Returned) and (outcome.quantity, outcome.returned) == (2, 2)
    assert query(tmp_path / "order.db", "SELECT key, number, quantity, note FROM returns") == [("r", 0, 2, "torn")]
    assert reconcile_all(tmp_path) == []
    Books.read(tmp_path).check()


def test_overdue_returns_in_doubt_are_settled(
    checkout: Checkout, orders: OrderStore, catalog: CatalogStore, tmp_path: Path
) -> None:
    checkout.place(Buy("k", "Tux", 5))
    asked = [Return("taken", 0, 2), Return("new", 0, 1)]
    orders.begin_returns(asked)
    catalog.take_back(orders.return_intents(1))
    assert repairable(tmp_path) == [], "their requests may still be running"
    forge(tmp_path / "order.db", AN_HOUR_AGO.replace("intents", "return_intents"))
    assert [one for one, _ in reconcile_all(tmp_path)] == asked
    books = Books.read(tmp_path)
    books.check()
    assert books.products["Tux"] == 78


def test_a_catalog_gives_no_piece_back_twice_although_the_log_has_lost_the_return(
    returns: Returns, checkout: Checkout, tmp_path: Path
) -> None:
    checkout.place(Buy("k", "Tux", 2))
    returns.give_back(Return("lost", 0))
    forge(tmp_path / "order.db", "DELETE FROM returns")
    with pytest.raises(Invalid):
        returns.give_back(Return("other", 0))
    reconcile_all(tmp_path)
    Books.read(tmp_path).check()
