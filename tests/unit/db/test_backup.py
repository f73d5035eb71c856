import os
import re
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

import apsw
import pytest

from db import backup as module
from db.audit import Audit
from db.backup import backup, restore
from db.catalog import CatalogStore
from db.order import OrderStore
from db.product_admin import ProductAdmin
from db.snapshots import CATALOG, LOG, File, Unreadable
from db.staging import InTheWay
from domain.checkout import Checkout
from domain.errors import ProductNotFound, Unavailable
from domain.values import Buy, Product
from tests.support.books import Books, query
from tests.support.earlier_schemas import ORDERED_ONE, SOLD_ONE, older
from tests.support.forger import forge, forge_schema
from tests.support.steps import begin
from tests.support.tiers import ROOT


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def checkout(data: Path) -> Checkout:
    """A store of three orders in a folder of its own, for in the test's folder its backups will stand."""
    data.mkdir()
    catalog, orders = CatalogStore(data / "catalog.db"), OrderStore(data / "order.db")
    catalog.migrate()
    orders.migrate()
    owner = ProductAdmin(data / "catalog.db")
    owner.add(Product("Tux", 2599, 80), "first")
    owner.close()
    checkout = Checkout(orders, catalog)
    for number in range(3):
        checkout.place(Buy(f"k{number}", "Tux", 1))
    return checkout


def no_progress(_step: str) -> None:
    pass


def backed_up(data: Path, target: Path) -> Audit:
    return backup(data, target, no_progress)


def content(data_dir: Path) -> list[list[tuple[object, ...]]]:
    """All rows of both databases."""
    tables = {"catalog.db": ("products", "stock_ledger", "product_history", "refused")}
    tables["order.db"] = ("orders", "refused", "intents", "sqlite_sequence")
    return [query(data_dir / name, f"SELECT * FROM {table}") for name in tables for table in tables[name]]


def test_a_backup_has_every_row_in_two_plain_files(checkout: Checkout, data: Path, tmp_path: Path) -> None:
    target = tmp_path / "backups" / "today"
    assert backed_up(data, target).is_clean
    assert sorted(path.name for path in target.iterdir()) == ["catalog.db", "order.db"]
    assert query(target / "order.db", "PRAGMA journal_mode") == [("delete",)], "no folder to write in is needed"
    assert content(target) == content(data)
    assert [path.name for path in target.parent.iterdir()] == ["today"]


def test_a_backup_takes_the_place_of_an_empty_folder(checkout: Checkout, data: Path, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    assert backed_up(data, tmp_path / "b").is_clean


def test_a_backup_writes_over_nothing(checkout: Checkout, data: Path, tmp_path: Path) -> None:
    target = tmp_path / "b"
    target.mkdir()
    for name in ("catalog.db", "order.db", "order.db-wal"):
        (target / name).write_text("dear")
        with pytest.raises(InTheWay, match=f"b/{name} is there already; name a new folder"):
            backed_up(data, target)
        with pytest.raises(InTheWay, match=f"b/{name} is there already"):
            backed_up(data, target / name)
        assert [path.name for path in target.iterdir()] == [name]
        (target / name).unlink()
    (target / "nowhere").symlink_to("is-not-there")
    with pytest.raises(InTheWay, match="b/nowhere is there already"):
        backed_up(data, target / "nowhere")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "data"]


def test_a_backup_leaves_what_else_is_in_its_folder(checkout: Checkout, data: Path, tmp_path: Path) -> None:
    """A mount point has lost+found in it, and the owner's diary is none of the store's business."""
    target = tmp_path / "b"
    (target / "lost+found").mkdir(parents=True)
    (target / "diary").write_text("dear")
    assert backed_up(data, target).is_clean
    assert sorted(path.name for path in target.iterdir()) == ["catalog.db", "diary", "lost+found", "order.db"]
    assert content(target) == content(data)


@pytest.mark.parametrize("is_there", [True, False])
def test_a_backup_can_be_read_by_its_owner_alone(
    checkout: Checkout, data: Path, tmp_path: Path, is_there: bool
) -> None:
    """Keys stand in it."""
    if is_there:
        (tmp_path / "b").mkdir(0o700)
    umask = os.umask(0o022)
    try:
        backed_up(data, tmp_path / "b")
        restore(tmp_path / "b", tmp_path / "r", no_progress)
    finally:
        os.umask(umask)
    for folder in (tmp_path / "b", tmp_path / "r"):
        assert {path.name: oct(path.stat().st_mode & 0o777) for path in (folder, *folder.iterdir())} == {
            folder.name: "0o700",
            "catalog.db": "0o600",
            "order.db": "0o600",
        }


@pytest.mark.parametrize("what", ["a backup", "a file"])
def test_of_two_backups_at_once_to_one_folder_the_later_gives_up(
    checkout: Checkout, data: Path, tmp_path: Path, what: str
) -> None:
    target = tmp_path / "b"

    def meanwhile(step: str) -> None:
        if step != "copy of order.db":
            return
        if what == "a backup":
            backed_up(data, target)
        else:
            target.write_text("dear diary")

    with pytest.raises(
        InTheWay, match=r"another one has made .*/b\S* meanwhile, and it stays as it is; name a new one"
    ):
        backup(data, target, meanwhile)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "data"]
    if what == "a backup":
        assert sorted(path.name for path in target.iterdir()) == ["catalog.db", "order.db"]
        assert content(target) == content(data)


@pytest.mark.parametrize("has_links", [True, False])
def test_of_two_backups_at_once_into_a_folder_that_is_there_the_later_gives_up(
    checkout: Checkout, data: Path, tmp_path: Path, has_links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "b"
    (target / "lost+found").mkdir(parents=True)

    def no_links(*_: object) -> None:
        raise PermissionError("this file system has no hard links")

    def meanwhile(step: str) -> None:
        if step == "copy of order.db":
            backed_up(data, target)

    if not has_links:
        monkeypatch.setattr(os, "link", no_links)
    with pytest.raises(InTheWay, match=r"another one has made .*/b/catalog\.db meanwhile"):
        backup(data, target, meanwhile)
    assert sorted(path.name for path in target.iterdir()) == ["catalog.db", "lost+found", "order.db"]
    assert content(target) == content(data)


def test_of_two_files_that_are_put_in_place_both_or_none_stay(
    checkout: Checkout, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "b"
    target.mkdir()

    def meanwhile(step: str) -> None:
        if step == "copy of order.db":
            (target / "order.db").write_text("dear diary")

    with pytest.raises(InTheWay, match=r"b/order\.db meanwhile"):
        backup(data, target, meanwhile)
    assert [path.name for path in target.iterdir()] == ["order.db"]


def test_a_backup_is_not_restored_onto_itself(checkout: Checkout, data: Path, tmp_path: Path) -> None:
    backed_up(data, tmp_path / "b")
    (tmp_path / "link").symlink_to(tmp_path / "b")
    with pytest.raises(InTheWay, match="b is both the backup and the folder to make; name another one with --into"):
        restore(tmp_path / "b", tmp_path / "link", no_progress)
    assert content(tmp_path / "b") == content(data)


def test_no_buy_comes_between_the_moments_of_the_two_files(
    checkout: Checkout, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a buy could be sold in the copy of the catalog, and in the copy of the log neither ordered nor begun."""
    shopper = threading.Thread(target=lambda: checkout.place(Buy("between", "Tux", 1)))
    begin = module._begin_snapshots

    def begin_slowly(sources: Mapping[File, apsw.Connection]) -> None:
        order, catalog = sorted(sources, key=lambda file: file.name, reverse=True)
        begin({order: sources[order]})
        shopper.start()
        shopper.join(timeout=0.3)
        begin({catalog: sources[catalog]})

    monkeypatch.setattr(module, "_begin_snapshots", begin_slowly)
    assert backed_up(data, tmp_path / "b").discrepancies == ()
    shopper.join()
    assert len(Books.read(tmp_path / "b").orders) == 3
    assert len(Books.read(data).orders) == 4, "the buy was only late"


def test_the_moments_stay_the_same_while_the_store_goes_on(
    checkout: Checkout, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = content(data)
    monkeypatch.setattr("db.copies._PAGES_A_STEP", 1)

    def buy(step: str) -> None:
        checkout.place(Buy(f"during {step}".replace(" ", "-"), "Tux", 1))

    assert backup(data, tmp_path / "b", buy).is_clean
    assert content(tmp_path / "b") == before


def test_buys_that_are_in_doubt_at_the_moment_end_well_in_the_copy(
    checkout: Checkout, data: Path, tmp_path: Path
) -> None:
    sold, begun = Buy("sold", "Tux", 2), Buy("begun", "Tux", 3)
    orders, catalog = OrderStore(data / "order.db"), CatalogStore(data / "catalog.db")
    begin(orders, [sold, begun])
    catalog.sell([sold])
    forge(data / "order.db", "UPDATE intents SET time = '2026-01-01T00:00:00.000Z'")
    assert backed_up(data, tmp_path / "b").is_clean, "they wait for a tier, and that is no fault of the copy"
    assert restore(tmp_path / "b", tmp_path / "r", no_progress).audit.is_clean
    copy = Checkout(OrderStore(tmp_path / "r" / "order.db"), CatalogStore(tmp_path / "r" / "catalog.db"))
    copy.settle(copy.intents(10))
    books = Books.read(tmp_path / "r")
    books.check()
    assert books.products == {"Tux": 80 - 3 - 2 - 3}


def test_a_backup_of_wrong_books_is_made_and_says_what_is_wrong(checkout: Checkout, data: Path, tmp_path: Path) -> None:
    forge(data / "catalog.db", "UPDATE products SET quantity = 1")
    [discrepancy] = backed_up(data, tmp_path / "b").discrepancies
    assert discrepancy.where == "Tux"
    assert content(tmp_path / "b") == content(data)


@pytest.mark.parametrize("step", ["copy of order.db", "copy of catalog.db", "stock", "refusals"])
def test_a_backup_that_is_interrupted_leaves_nothing(checkout: Checkout, data: Path, tmp_path: Path, step: str) -> None:
    def interrupt(reached: str) -> None:
        if reached == step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        backup(data, tmp_path / "b", interrupt)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize("step", ["copy of catalog.db", "orders"])
def test_a_restore_that_is_interrupted_leaves_everything_as_it_was(
    checkout: Checkout, data: Path, tmp_path: Path, step: str
) -> None:
    backed_up(data, tmp_path / "b")
    (tmp_path / "r").mkdir()

    def interrupt(reached: str) -> None:
        if reached == step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        restore(tmp_path / "b", tmp_path / "r", interrupt)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "data", "r"]
    assert list((tmp_path / "r").iterdir()) == []


def test_a_backup_on_a_full_disk_is_one_line_and_leaves_nothing(checkout: Checkout, data: Path, tmp_path: Path) -> None:
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


def test_a_backup_that_is_killed_never_looks_like_one(checkout: Checkout, data: Path, tmp_path: Path) -> None:
    script = f"""
import os
import re
from pathlib import Path
from db.backup import backup
backup(Path({str(data)!r}), Path({str(tmp_path / "b")!r}), lambda step: step == "refusals" and os._exit(9))
"""
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False).returncode == 9
    [left] = [path.name for path in tmp_path.iterdir() if path.name != "data"]
    assert left.startswith(".b-") and left.endswith(".unfinished")
    assert backed_up(data, tmp_path / "b").is_clean


def test_a_backup_is_on_disk_before_it_has_its_name(
    checkout: Checkout, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[str, bool]] = []
    fsync = os.fsync

    def record(descriptor: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        if data not in (path, path.parent):
            synced.append((path.name.partition("-")[0], (tmp_path / "b").exists()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    backed_up(data, tmp_path / "b")
    assert set(synced[:2]) == {("catalog.db", False), ("order.db", False)}
    assert synced[2:] == [(".b", False), (tmp_path.name.partition("-")[0], True)]


def test_a_store_that_another_writes_for_long_is_not_backed_up_now(
    checkout: Checkout, data: Path, tmp_path: Path
) -> None:
    other = apsw.Connection(str(data / "order.db"))
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable):
        backed_up(data, tmp_path / "b")
    other.close()
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_folder_without_a_store_is_not_backed_up(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="does not exist"):
        backed_up(tmp_path / "nowhere", tmp_path / "b")
    assert list(tmp_path.iterdir()) == []


def test_a_restored_store_goes_on_where_the_backup_ended(checkout: Checkout, data: Path, tmp_path: Path) -> None:
    backed_up(data, tmp_path / "b")
    checkout.place(Buy("after", "Tux", 1))
    restored = tmp_path / "r"
    assert restore(tmp_path / "b", restored, no_progress).audit.is_clean
    assert sorted(path.name for path in restored.iterdir()) == ["catalog.db", "order.db"]
    assert content(restored) == content(tmp_path / "b")
    copy = Checkout(OrderStore(restored / "order.db"), CatalogStore(restored / "catalog.db"))
    assert copy.place(Buy("k2", "Tux", 1)) == 2
    assert copy.place(Buy("new", "Tux", 1)) == 3, "the number of what the restore lost is given out again"
    Books.read(restored).check()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("nothing", "holds a store, all of which is in the backup"),
        ("a new order", "the backup ends before its order 3: what is newer would be lost"),
        ("a restock", "the backup ends before its ledger entry 5: what is newer would be lost"),
        ("a new price", "the backup ends before its product history entry 2: what is newer would be lost"),
        ("a refused buy", "the backup lacks 1 of its refused buys: what is newer would be lost"),
        ("another history", "and its order 1 differs from the backup's"),
        ("another stock", "and its ledger entry 2 differs from the backup's"),
        ("no store", "/catalog.db is there already"),
    ],
)
def test_a_restore_writes_over_nothing_and_says_what_is_in_the_way(
    checkout: Checkout, data: Path, tmp_path: Path, change: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("db.compare.CHUNK", 2)
    backed_up(data, tmp_path / "b")
    if change == "a new order":
        checkout.place(Buy("new", "Tux", 1))
    elif change == "a restock":
        ProductAdmin(data / "catalog.db").restock("Tux", 1, "more")
    elif change == "a new price":
        ProductAdmin(data / "catalog.db").price("Tux", 1, "cheaper")
    elif change == "a refused buy":
        with pytest.raises(ProductNotFound):
            checkout.place(Buy("refused now", "Unicorn", 1))
    elif change == "another history":
        forge(data / "order.db", "UPDATE orders SET quantity = 7 WHERE number = 1")
    elif change == "another stock":
        forge(data / "catalog.db", "UPDATE stock_ledger SET delta = -7 WHERE entry = 2")
    elif change == "no store":
        (data / "order.db").write_text("my diary")
    before = {path.name: path.read_bytes() for path in data.glob("*.db")}
    with pytest.raises(InTheWay, match=f"data.*{why}; move it away yourself"):
        restore(tmp_path / "b", data, no_progress)
    assert {path.name: path.read_bytes() for path in data.glob("*.db")} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "data"]


def test_a_backup_of_an_older_schema_is_upgraded_as_it_is_restored(tmp_path: Path) -> None:
    older(tmp_path / "b", CATALOG, 1, SOLD_ONE)
    older(tmp_path / "b", LOG, 1, ORDERED_ONE)
    before = (tmp_path / "b" / "catalog.db").read_bytes()
    assert restore(tmp_path / "b", tmp_path / "r", no_progress).audit.is_clean
    assert query(tmp_path / "r" / "catalog.db", "PRAGMA user_version") == [(CATALOG.newest,)]
    assert (tmp_path / "b" / "catalog.db").read_bytes() == before


def test_a_backup_of_a_newer_release_is_refused(checkout: Checkout, data: Path, tmp_path: Path) -> None:
    backed_up(data, tmp_path / "b")
    forge_schema(tmp_path / "b" / "order.db", "PRAGMA user_version = 99")
    with pytest.raises(Unreadable, match=rf"b/order\.db has schema 99, newer than this code's {LOG.newest}"):
        restore(tmp_path / "b", tmp_path / "r", no_progress)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "data"]


@pytest.mark.parametrize("what", ["my diary" * 1000, "catalog.db"])
def test_a_file_of_another_program_in_the_backup_is_named(
    checkout: Checkout, data: Path, tmp_path: Path, what: str
) -> None:
    backed_up(data, tmp_path / "b")
    other = (tmp_path / "b" / what).read_bytes() if what == "catalog.db" else what.encode()
    (tmp_path / "b" / "order.db").write_bytes(other)
    with pytest.raises(Unreadable, match=r"b/order\.db(: damaged or no database| is not the order\.db of this store)"):
        restore(tmp_path / "b", tmp_path / "r", no_progress)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "data"]


def test_what_is_no_backup_is_named(checkout: Checkout, data: Path, tmp_path: Path) -> None:
    backed_up(data, tmp_path / "b")
    (tmp_path / "b" / "order.db").unlink()
    with pytest.raises(Unreadable, match=r"b is no backup: it has no order\.db"):
        restore(tmp_path / "b", tmp_path / "r", no_progress)
    assert not (tmp_path / "r").exists()
