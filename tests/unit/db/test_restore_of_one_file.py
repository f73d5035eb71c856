"""One database is lost: the backup's takes its place, and what the lost one has left at its name does not spoil it."""

import os
import shutil
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from admin.program import main
from db.backup import backup, restore
from db.catalog import CatalogStore
from db.connection import StartRefused
from db.order import OrderStore
from db.pairing import require_whole, store_id
from db.product_admin import ProductAdmin
from db.reconcile import reconcile
from db.snapshots import CATALOG, FILES, LOG, File, Snapshots, Unreadable
from db.staging import InTheWay
from domain.checkout import Checkout
from domain.values import Buy, Product
from tests.support.books import Books, query
from tests.support.earlier_schemas import ORDERED_ONE, SOLD_ONE, older


def no_watch(_step: str) -> None:
    pass


@pytest.fixture
def crashed(tmp_path: Path) -> Path:
    """A store as a kill -9 leaves it: its logs are not in the databases yet. Its backup is of an earlier moment."""
    live = tmp_path / "live"
    live.mkdir()
    catalog, orders = CatalogStore(live / "catalog.db"), OrderStore(live / "order.db")
    catalog.migrate()
    orders.migrate()
    owner = ProductAdmin(live / "catalog.db")
    owner.add(Product("Tux", 2599, 80), "first")
    checkout = Checkout(orders, catalog)
    for number in range(3):
        checkout.place(Buy(f"before{number}", "Tux", 1))
    assert backup(live, tmp_path / "b", no_watch).is_clean
    for number in range(5):
        checkout.place(Buy(f"after{number}", "Tux", 1))
    shutil.copytree(live, tmp_path / "data", ignore=shutil.ignore_patterns("*-shm"))
    for store in (catalog, orders, owner):
        store.close()
    return tmp_path / "data"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("file", FILES)
def test_a_lost_file_comes_back_and_the_log_of_the_lost_one_is_set_aside(
    crashed: Path, tmp_path: Path, file: File
) -> None:
    (crashed / file.name).unlink()
    (crashed / f"{file.name}-journal").write_bytes(b"left over")
    (crashed / f"{file.name}-shm").write_bytes(b"left over")
    (crashed / f"{file.name}-wal.lost-1").write_bytes(b"of a former accident")
    log = (crashed / f"{file.name}-wal").read_bytes()
    restored = restore(tmp_path / "b", crashed, no_watch, file)
    assert [path.name for path in restored.set_aside] == [f"{file.name}-wal.lost-2", f"{file.name}-journal.lost-1"]
    assert (crashed / f"{file.name}-wal.lost-2").read_bytes() == log
    assert not [name for name in names(crashed) if name.startswith(file.name) and name.endswith(("-wal", "-shm"))]
    assert query(crashed / file.name, "PRAGMA integrity_check") == [("ok",)]
    assert not restored.audit.is_clean, "the other file knows of five buys more"


def test_a_restored_order_log_is_made_whole_by_reconcile(
    crashed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATA_DIR", str(crashed))
    monkeypatch.setenv("CATALOG_BIND", "127.0.0.1:1")
    monkeypatch.setenv("ORDER_BIND", "127.0.0.1:1")
    (crashed / "order.db").unlink()
    assert main(["restore", str(tmp_path / "b"), "--only", "order.db"]) == 1
    out, err = capsys.readouterr()
    assert f"{crashed}/order.db is complete. 5 discrepancies: 3 orders" in out
    assert "`reconcile --apply` repairs 5 discrepancies." in out
    assert f"{crashed}/order.db-wal.lost-1 was left by a lost database" in err
    assert main(["reconcile", "--apply"]) == 0
    books = Books.read(crashed)
    books.check()
    assert len(books.orders) == 8 and books.products == {"Tux": 72}


def test_one_file_is_restored_into_a_folder_that_wants_no_other(tmp_path: Path, crashed: Path) -> None:
    """As a container's volume."""
    for file in FILES:
        volume = tmp_path / f"volume of {file.name}"
        (volume / "lost+found").mkdir(parents=True)
        restored = restore(tmp_path / "b", volume, no_watch, file)
        assert names(volume) == sorted([file.name, "lost+found"])
        assert restored.audit.is_clean, "it is the audit of the backup"
    volumes = tmp_path / "both"
    volumes.mkdir()
    for file in FILES:
        (volumes / file.name).symlink_to(tmp_path / f"volume of {file.name}" / file.name)
    Books.read(volumes).check()


def test_one_file_is_put_in_the_place_of_none(crashed: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in crashed.iterdir() if not path.name.endswith("-shm")}
    with pytest.raises(InTheWay, match=r"data holds a store, .*; move it away yourself, with its -wal and -shm"):
        restore(tmp_path / "b", crashed, no_watch, LOG)
    (crashed / "catalog.db").unlink()
    with pytest.raises(InTheWay, match=r"data/order\.db is there already"):
        restore(tmp_path / "b", crashed, no_watch, LOG)
    with pytest.raises(InTheWay, match=r"data/order\.db is there already"):
        restore(tmp_path / "b", crashed, no_watch)
    del before["catalog.db"]
    assert {path.name: path.read_bytes() for path in crashed.iterdir() if not path.name.endswith("-shm")} == before


def test_a_whole_restore_sets_aside_what_lost_files_have_left(crashed: Path, tmp_path: Path) -> None:
    for file in FILES:
        (crashed / file.name).unlink()
    restored = restore(tmp_path / "b", crashed, no_watch)
    assert restored.audit.is_clean
    assert [path.name for path in restored.set_aside] == ["catalog.db-wal.lost-1", "order.db-wal.lost-1"]
    Books.read(crashed).check()


@pytest.mark.parametrize("file", FILES)
def test_a_backups_file_beside_the_log_of_a_lost_one_is_refused(crashed: Path, tmp_path: Path, file: File) -> None:
    """SQLite would bring the log into it, whatever it is the log of."""
    shutil.copy(tmp_path / "b" / file.name, crashed / file.name)
    before = {path.name: path.read_bytes() for path in crashed.iterdir() if not path.name.endswith("-shm")}
    why = rf"{file.name}-wal is the log of another file than the {file.name} .*--only {file.name}"
    with pytest.raises(Unreadable, match=why):
        Snapshots(crashed)
    with pytest.raises(Unreadable, match=why):
        backup(crashed, tmp_path / "b2", no_watch)
    with pytest.raises(Unreadable, match=why):
        restore(crashed, tmp_path / "r", no_watch)
    store = CatalogStore(crashed / file.name) if file is CATALOG else OrderStore(crashed / file.name)
    with pytest.raises(StartRefused, match=why):
        store.migrate()
    assert {path.name: path.read_bytes() for path in crashed.iterdir() if not path.name.endswith("-shm")} == before


@pytest.mark.parametrize("is_empty", [True, False])
def test_a_log_without_its_database_stops_the_start(crashed: Path, is_empty: bool) -> None:
    log = (crashed / "order.db-wal").read_bytes()
    (crashed / "order.db").unlink()
    if is_empty:
        (crashed / "order.db").touch()
    with pytest.raises(StartRefused, match=r"order\.db-wal is the log of a database that is gone"):
        OrderStore(crashed / "order.db").migrate()
    assert (crashed / "order.db-wal").read_bytes() == log


def test_root_gives_what_it_restores_to_the_owner_of_the_folder(
    crashed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, tuple[int, int]] = {}
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "chown", lambda path, user, group: given.update({path.name: (user, group)}))
    (crashed / "order.db").unlink()
    restore(tmp_path / "b", crashed, no_watch, LOG)
    owner = crashed.stat()
    assert given == {"order.db": (owner.st_uid, owner.st_gid)}


def test_reconcile_refuses_a_log_that_does_not_fit(crashed: Path, tmp_path: Path) -> None:
    """A file of WAL mode, such as another store's, is not known by its header; that it holds no more together is."""
    other = grown(tmp_path / "other")
    shutil.copy(other, crashed / "order.db-wal")
    before = (crashed / "order.db").read_bytes()
    with pytest.raises(Unreadable, match=r"order\.db and its log do not fit together"):
        list(reconcile(crashed, [Buy("key", "Tux", 1)]))
    with pytest.raises(StartRefused, match=r"order\.db and its log do not fit together"):
        OrderStore(crashed / "order.db").migrate()
    assert (crashed / "order.db").read_bytes() == before


def grown(folder: Path) -> Path:
    """The log of a larger order log, without the pages that were brought into its database before."""
    folder.mkdir()
    path = folder / "order.db"
    OrderStore(path).migrate()
    connection = apsw.Connection(str(path))
    connection.execute("DROP TRIGGER orders_insert").fetchall()  # which wants a buy for each
    connection.execute(_ORDERS, {"first": 0, "last": 2000}).fetchall()
    connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_RESTART)
    connection.execute(_ORDERS, {"first": 2001, "last": 2020}).fetchall()
    log = shutil.copy(f"{path}-wal", folder / "log")
    connection.close()
    return Path(log)


_ORDERS = """
    WITH RECURSIVE n (i) AS (SELECT :first UNION ALL SELECT i + 1 FROM n WHERE i < :last)
    INSERT INTO orders (key, product, quantity, price_cents) SELECT 'k' || i, 'Tux', 1, 1 FROM n"""


def test_a_catalog_of_before_ids_comes_back_beside_the_log_of_its_store(tmp_path: Path) -> None:
    old, live = tmp_path / "b", tmp_path / "live"
    older(old, CATALOG, 1, SOLD_ONE)
    older(old, LOG, 1, ORDERED_ONE)
    assert restore(old, live, no_watch).audit.is_clean
    log = OrderStore(live / LOG.name)
    with closing(CatalogStore(live / CATALOG.name)) as catalog, closing(log):
        assert log.meet(catalog.introduce(log.last_order())) is None
    for companion in ("", "-wal", "-shm"):
        (live / f"{CATALOG.name}{companion}").unlink(missing_ok=True)
    assert restore(old, live, no_watch, CATALOG).audit.is_clean
    assert store_id(live / CATALOG.name) == store_id(live / LOG.name) is not None
    assert require_whole(live, CATALOG.name) is None


def test_a_catalog_of_before_ids_takes_no_id_of_a_log_that_lacks_its_sales(crashed: Path, tmp_path: Path) -> None:
    with closing(OrderStore(crashed / LOG.name)) as log, closing(CatalogStore(crashed / CATALOG.name)) as catalog:
        assert log.meet(catalog.introduce(log.last_order())) is None
    (crashed / CATALOG.name).unlink()
    older(tmp_path / "old", CATALOG, 1, SOLD_ONE)
    older(tmp_path / "old", LOG, 1, ORDERED_ONE)
    assert not restore(tmp_path / "old", crashed, no_watch, CATALOG).audit.is_clean
    assert store_id(crashed / CATALOG.name) != store_id(crashed / LOG.name)
