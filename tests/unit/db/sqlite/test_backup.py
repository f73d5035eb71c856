"""A backup is a consistent, audited copy of a store in use, or nothing is left of it."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

import apsw
import pytest

from db.sqlite import backup as backup_module
from db.sqlite.backup import backup, restore
from db.sqlite.catalog import CatalogStore
from db.sqlite.order import OrderStore
from db.sqlite.snapshots import File, Unreadable
from domain.checkout import Checkout
from domain.errors import Unavailable
from domain.values import Buy
from tests.support.backups import all_rows, make_backup, no_progress
from tests.support.books import Books, query
from tests.support.forgery import forge
from tests.support.tiers import ROOT


def test_a_backup_has_every_row_in_two_plain_files(shop: Checkout, data: Path, tmp_path: Path) -> None:
    target = tmp_path / "backups" / "today"
    assert make_backup(data, target).is_clean
    assert sorted(path.name for path in target.iterdir()) == ["catalog.db", "order.db"]
    assert query(target / "order.db", "PRAGMA journal_mode") == [("delete",)], (
        "a reader needs no write access to the folder"
    )
    assert all_rows(target) == all_rows(data)
    assert [path.name for path in target.parent.iterdir()] == ["today"]


def test_no_buy_happens_between_the_snapshots_of_the_two_files(
    shop: Checkout, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a buy could be sold in the copied catalog, with neither an order nor an intent in the copied log."""
    shopper = threading.Thread(target=lambda: shop.place(Buy("between", "Tux", 1)))
    begin = backup_module._begin_snapshots

    def begin_slowly(sources: Mapping[File, apsw.Connection]) -> None:
        order, catalog = sorted(sources, key=lambda file: file.name, reverse=True)
        begin({order: sources[order]})
        shopper.start()
        shopper.join(timeout=0.3)
        begin({catalog: sources[catalog]})

    monkeypatch.setattr(backup_module, "_begin_snapshots", begin_slowly)
    assert make_backup(data, tmp_path / "b").discrepancies == ()
    shopper.join()
    assert len(Books.read(tmp_path / "b").orders) == 3
    assert len(Books.read(data).orders) == 4, "the buy was only delayed"


def test_buys_during_a_backup_are_not_in_it(
    shop: Checkout, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = all_rows(data)
    monkeypatch.setattr("db.sqlite.copies._PAGES_A_STEP", 1)

    def buy(step: str) -> None:
        shop.place(Buy(f"during {step}".replace(" ", "-"), "Tux", 1))

    assert backup(data, tmp_path / "b", buy).is_clean
    assert all_rows(tmp_path / "b") == before


def test_buys_in_doubt_are_settled_in_a_restored_backup(shop: Checkout, data: Path, tmp_path: Path) -> None:
    sold, begun = Buy("sold", "Tux", 2), Buy("begun", "Tux", 3)
    orders, catalog = OrderStore(data / "order.db"), CatalogStore(data / "catalog.db")
    orders.begin([sold, begun])
    catalog.sell([sold])
    forge(data / "order.db", "UPDATE intents SET time = '2026-01-01T00:00:00.000Z'")
    assert make_backup(data, tmp_path / "b").is_clean, "an overdue intent is no discrepancy of a copy"
    assert restore(tmp_path / "b", tmp_path / "r", no_progress).audit.is_clean
    copy = Checkout(OrderStore(tmp_path / "r" / "order.db"), CatalogStore(tmp_path / "r" / "catalog.db"))
    copy.settle(copy.intents(10))
    books = Books.read(tmp_path / "r")
    books.check()
    assert books.products == {"Tux": 80 - 3 - 2 - 3}


def test_a_backup_of_wrong_books_is_made_and_names_the_discrepancies(
    shop: Checkout, data: Path, tmp_path: Path
) -> None:
    forge(data / "catalog.db", "UPDATE products SET quantity = 1")
    [discrepancy] = make_backup(data, tmp_path / "b").discrepancies
    assert discrepancy.where == "Tux"
    assert all_rows(tmp_path / "b") == all_rows(data)


@pytest.mark.parametrize("step", ["copy of order.db", "copy of catalog.db", "stock", "refusals"])
def test_an_interrupted_backup_leaves_nothing(shop: Checkout, data: Path, tmp_path: Path, step: str) -> None:
    def interrupt(reached: str) -> None:
        if reached == step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        backup(data, tmp_path / "b", interrupt)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_backup_on_a_full_disk_reports_one_line_and_leaves_nothing(
    shop: Checkout, data: Path, tmp_path: Path
) -> None:
    script = f"""
import resource, sys
from admin.program import main
resource.setrlimit(resource.RLIMIT_FSIZE, (33_000, 33_000))  # as much as SQLite needs for its shared memory
sys.exit(main(["backup", {str(tmp_path / "b")!r}]))
"""
    environment = os.environ | {"DATA_DIR": str(data)}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"toy store: catalog\.db cannot be copied: the disk is full or fails \(\w+\)\n", done.stderr)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_backup_fails_when_the_write_lock_stays_held(shop: Checkout, data: Path, tmp_path: Path) -> None:
    other = apsw.Connection(str(data / "order.db"))
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable):
        make_backup(data, tmp_path / "b")
    other.close()
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_folder_without_a_store_is_not_backed_up(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="does not exist"):
        make_backup(tmp_path / "nowhere", tmp_path / "b")
    assert list(tmp_path.iterdir()) == []
