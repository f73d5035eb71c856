"""A restore of one lost database from a backup, and the -wal and -journal files that the lost one left."""

import os
from contextlib import closing
from pathlib import Path

import pytest

from admin.program import main
from db.sqlite.backup import restore
from db.sqlite.catalog import CatalogStore
from db.sqlite.order import OrderStore
from db.sqlite.pairing import require_matching, store_id
from db.sqlite.snapshots import CATALOG, FILES, LOG, File
from db.sqlite.staging import InTheWay
from tests.support.backups import no_progress
from tests.support.books import Books, query
from tests.support.earlier_schemas import ORDERED_ONE, SOLD_ONE, older


def names(folder: Path) -> list[str]:
    """Returns the names of the files in the folder."""
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("file", FILES)
def test_a_lost_file_is_restored_and_its_wal_is_set_aside(crashed: Path, tmp_path: Path, file: File) -> None:
    (crashed / file.name).unlink()
    (crashed / f"{file.name}-journal").write_bytes(b"left over")
    (crashed / f"{file.name}-shm").write_bytes(b"left over")
    (crashed / f"{file.name}-wal.lost-1").write_bytes(b"of an earlier loss")
    wal = (crashed / f"{file.name}-wal").read_bytes()
    restored = restore(tmp_path / "b", crashed, no_progress, file)
    assert [path.name for path in restored.set_aside] == [f"{file.name}-wal.lost-2", f"{file.name}-journal.lost-1"]
    assert (crashed / f"{file.name}-wal.lost-2").read_bytes() == wal
    assert not [name for name in names(crashed) if name.startswith(file.name) and name.endswith(("-wal", "-shm"))]
    assert query(crashed / file.name, "PRAGMA integrity_check") == [("ok",)]
    assert not restored.audit.is_clean, "the other file has five more buys"


def test_reconcile_completes_a_restored_order_log(
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


def test_each_file_is_restored_into_a_folder_of_its_own(tmp_path: Path, crashed: Path) -> None:
    """In containers each file has a volume of its own."""
    for file in FILES:
        volume = tmp_path / f"volume of {file.name}"
        (volume / "lost+found").mkdir(parents=True)
        restored = restore(tmp_path / "b", volume, no_progress, file)
        assert names(volume) == sorted([file.name, "lost+found"])
        assert restored.audit.is_clean, "without the other file, the audit is of the backup"
    volumes = tmp_path / "both"
    volumes.mkdir()
    for file in FILES:
        (volumes / file.name).symlink_to(tmp_path / f"volume of {file.name}" / file.name)
    Books.read(volumes).check()


def test_restoring_one_file_overwrites_nothing(crashed: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in crashed.iterdir() if not path.name.endswith("-shm")}
    with pytest.raises(InTheWay, match=r"data holds a store, .*; move it away yourself, with its -wal and -shm"):
        restore(tmp_path / "b", crashed, no_progress, LOG)
    (crashed / "catalog.db").unlink()
    with pytest.raises(InTheWay, match=r"data/order\.db is there already"):
        restore(tmp_path / "b", crashed, no_progress, LOG)
    with pytest.raises(InTheWay, match=r"data/order\.db is there already"):
        restore(tmp_path / "b", crashed, no_progress)
    del before["catalog.db"]
    assert {path.name: path.read_bytes() for path in crashed.iterdir() if not path.name.endswith("-shm")} == before


def test_restoring_both_files_sets_aside_the_wals_of_lost_ones(crashed: Path, tmp_path: Path) -> None:
    for file in FILES:
        (crashed / file.name).unlink()
    restored = restore(tmp_path / "b", crashed, no_progress)
    assert restored.audit.is_clean
    assert [path.name for path in restored.set_aside] == ["catalog.db-wal.lost-1", "order.db-wal.lost-1"]
    Books.read(crashed).check()


def test_root_gives_a_restored_file_to_the_owner_of_the_folder(
    crashed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, tuple[int, int]] = {}
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "chown", lambda path, user, group: given.update({path.name: (user, group)}))
    (crashed / "order.db").unlink()
    restore(tmp_path / "b", crashed, no_progress, LOG)
    owner = crashed.stat()
    assert given == {"order.db": (owner.st_uid, owner.st_gid)}


def test_a_restored_catalog_from_before_ids_gets_the_id_of_its_log(tmp_path: Path) -> None:
    old, live = tmp_path / "b", tmp_path / "live"
    older(old, CATALOG, 1, SOLD_ONE)
    older(old, LOG, 1, ORDERED_ONE)
    assert restore(old, live, no_progress).audit.is_clean
    log = OrderStore(live / LOG.name)
    with closing(CatalogStore(live / CATALOG.name)) as catalog, closing(log):
        assert log.pair(catalog.introduce(log.last_order())) is None
    for companion in ("", "-wal", "-shm"):
        (live / f"{CATALOG.name}{companion}").unlink(missing_ok=True)
    assert restore(old, live, no_progress, CATALOG).audit.is_clean
    assert store_id(live / CATALOG.name) == store_id(live / LOG.name) is not None
    assert require_matching(live, CATALOG.name) is None


def test_a_restored_catalog_from_before_ids_gets_no_id_from_a_log_without_its_sales(
    crashed: Path, tmp_path: Path
) -> None:
    with closing(OrderStore(crashed / LOG.name)) as log, closing(CatalogStore(crashed / CATALOG.name)) as catalog:
        assert log.pair(catalog.introduce(log.last_order())) is None
    (crashed / CATALOG.name).unlink()
    older(tmp_path / "old", CATALOG, 1, SOLD_ONE)
    older(tmp_path / "old", LOG, 1, ORDERED_ONE)
    assert not restore(tmp_path / "old", crashed, no_progress, CATALOG).audit.is_clean
    assert store_id(crashed / CATALOG.name) != store_id(crashed / LOG.name)
