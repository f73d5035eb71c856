"""A restore makes a complete store of a backup, or changes nothing."""

from pathlib import Path

import pytest

from db.sqlite.backup import restore
from db.sqlite.catalog import CatalogStore
from db.sqlite.order import OrderStore
from db.sqlite.reconcile import reconcile
from db.sqlite.snapshots import CATALOG, LOG, Unreadable
from db.sqlite.staging import InTheWay
from domain.checkout import Checkout
from domain.returns import Return, Returns, SaleReturn
from domain.values import Buy
from tests.support.audit import run_audit
from tests.support.backups import all_rows, make_backup, no_progress
from tests.support.books import Books, query
from tests.support.earlier_schemas import ORDERED_ONE, SOLD_ONE, older
from tests.support.forgery import forge_schema


def test_a_backup_is_not_restored_onto_itself(shop: Checkout, data: Path, tmp_path: Path) -> None:
    make_backup(data, tmp_path / "b")
    (tmp_path / "link").symlink_to(tmp_path / "b")
    with pytest.raises(InTheWay, match="b is both the backup and the folder to make; name another one with --into"):
        restore(tmp_path / "b", tmp_path / "link", no_progress)
    assert all_rows(tmp_path / "b") == all_rows(data)


@pytest.mark.parametrize("step", ["copy of catalog.db", "orders"])
def test_an_interrupted_restore_changes_nothing(shop: Checkout, data: Path, tmp_path: Path, step: str) -> None:
    make_backup(data, tmp_path / "b")
    (tmp_path / "r").mkdir()

    def interrupt(reached: str) -> None:
        if reached == step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        restore(tmp_path / "b", tmp_path / "r", interrupt)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "data", "r"]
    assert list((tmp_path / "r").iterdir()) == []


def test_a_restored_store_continues_where_the_backup_ended(shop: Checkout, data: Path, tmp_path: Path) -> None:
    make_backup(data, tmp_path / "b")
    shop.place(Buy("after", "Tux", 1))
    restored = tmp_path / "r"
    assert restore(tmp_path / "b", restored, no_progress).audit.is_clean
    assert sorted(path.name for path in restored.iterdir()) == ["catalog.db", "order.db"]
    assert all_rows(restored) == all_rows(tmp_path / "b")
    copy = Checkout(OrderStore(restored / "order.db"), CatalogStore(restored / "catalog.db"))
    assert copy.place(Buy("k2", "Tux", 1)) == 2
    assert copy.place(Buy("new", "Tux", 1)) == 3, "the number of the order that the restore lost is given out again"
    Books.read(restored).check()


def returns_of(folder: Path) -> Returns:
    """Returns over the store in the folder."""
    return Returns(OrderStore(folder / "order.db"), CatalogStore(folder / "catalog.db"))


def test_a_restored_store_has_the_returns_and_settles_those_in_doubt(
    shop: Checkout, data: Path, tmp_path: Path
) -> None:
    shop.place(Buy("k3", "Tux", 5))
    done = returns_of(data).give_back(Return("done", 3, 2, "torn"))
    OrderStore(data / "order.db").begin_returns([Return("begun", 3, 1), Return("taken", 3, 1)])
    CatalogStore(data / "catalog.db").take_back([SaleReturn("taken", "k3", "Tux", 1)])
    assert make_backup(data, tmp_path / "b").is_clean
    assert restore(tmp_path / "b", tmp_path / "r", no_progress).audit.is_clean
    assert all_rows(tmp_path / "r") == all_rows(data)
    returns = returns_of(tmp_path / "r")
    assert returns.give_back(Return("done", 3, 2, "torn")) == done
    returns.settle(returns.intents(10))
    books = Books.read(tmp_path / "r")
    books.check()
    assert (len(books.returns), books.products["Tux"]) == (3, 76)


def test_reconcile_brings_the_returns_back_to_an_older_order_log(shop: Checkout, data: Path, tmp_path: Path) -> None:
    make_backup(data, tmp_path / "b")
    shop.place(Buy("after", "Tux", 5))
    returns_of(data).give_back(Return("known", 0, 1))
    returns_of(data).give_back(Return("lost with its order", 3, 2, "torn"))
    for file in data.glob("order.db*"):
        file.unlink()
    restore(tmp_path / "b", data, no_progress, LOG)
    for _ in range(2):  # a return is repaired once its order is there
        repairs = [one.repair for one in run_audit(data).discrepancies if one.repair is not None]
        list(reconcile(data, repairs))
    books = Books.read(data)
    books.check()
    assert sorted(books.returns) == [("known", 0, 1), ("lost with its order", 3, 2)]


def test_a_restore_upgrades_a_backup_of_an_older_schema(tmp_path: Path) -> None:
    older(tmp_path / "b", CATALOG, 1, SOLD_ONE)
    older(tmp_path / "b", LOG, 1, ORDERED_ONE)
    before = (tmp_path / "b" / "catalog.db").read_bytes()
    assert restore(tmp_path / "b", tmp_path / "r", no_progress).audit.is_clean
    assert query(tmp_path / "r" / "catalog.db", "PRAGMA user_version") == [(CATALOG.newest,)]
    assert (tmp_path / "b" / "catalog.db").read_bytes() == before


def test_a_backup_of_a_newer_release_is_refused(shop: Checkout, data: Path, tmp_path: Path) -> None:
    make_backup(data, tmp_path / "b")
    forge_schema(tmp_path / "b" / "order.db", "PRAGMA user_version = 99")
    with pytest.raises(Unreadable, match=rf"b/order\.db has schema 99, newer than this code's {LOG.newest}"):
        restore(tmp_path / "b", tmp_path / "r", no_progress)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "data"]


@pytest.mark.parametrize("what", ["my diary" * 1000, "catalog.db"])
def test_a_restore_names_a_file_that_is_not_the_stores(shop: Checkout, data: Path, tmp_path: Path, what: str) -> None:
    make_backup(data, tmp_path / "b")
    other = (tmp_path / "b" / what).read_bytes() if what == "catalog.db" else what.encode()
    (tmp_path / "b" / "order.db").write_bytes(other)
    with pytest.raises(Unreadable, match=r"b/order\.db(: damaged or no database| is not the order\.db of this store)"):
        restore(tmp_path / "b", tmp_path / "r", no_progress)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "data"]


def test_a_restore_names_the_file_that_a_backup_lacks(shop: Checkout, data: Path, tmp_path: Path) -> None:
    make_backup(data, tmp_path / "b")
    (tmp_path / "b" / "order.db").unlink()
    with pytest.raises(Unreadable, match=r"b is no backup: it has no order\.db"):
        restore(tmp_path / "b", tmp_path / "r", no_progress)
    assert not (tmp_path / "r").exists()
