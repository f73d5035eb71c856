"""A backup to a mount point, and a restore into one, which no rename can replace. Only root can mount the tmpfs."""

from pathlib import Path

import pytest
import requests

from admin.program import main
from tests.faults.disks.small_disk import small_disk
from tests.support.books import Books
from tests.support.tiers import products_file, running


def test_a_mount_point_takes_a_backup_and_a_restored_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    products = products_file(tmp_path, "Tux 25.99 80")
    with small_disk(tmp_path / "backups") as backups, small_disk(tmp_path / "disk") as disk:
        for folder in (backups, disk):
            (folder / "lost+found").mkdir()
        with running(disk, PRODUCTS=products) as tiers:
            for key in ("one", "two"):
                headers = {"Idempotency-Key": key}
                assert requests.post(f"{tiers.url('front_end')}/Tux/1", headers=headers, timeout=10).status_code == 200
            monkeypatch.setenv("DATA_DIR", str(disk))
            assert main(["backup", str(backups)]) == 0
        for path in disk.glob("*.db*"):
            path.unlink()
        # A restore refuses while a tier answers at its address, and another store may run at the default ones.
        monkeypatch.setenv("CATALOG_BIND", "127.0.0.1:1")
        monkeypatch.setenv("ORDER_BIND", "127.0.0.1:1")
        assert main(["restore", str(backups)]) == 0
        assert sorted(path.name for path in disk.iterdir()) == ["catalog.db", "lost+found", "order.db"]
        (disk / "order.db").unlink()
        assert main(["restore", str(backups), "--only", "order.db"]) == 0
        with running(disk, PRODUCTS=products) as tiers:
            answer = requests.post(
                f"{tiers.url('front_end')}/Tux/1", headers={"Idempotency-Key": "two"}, timeout=10
            ).json()
            assert answer == {"data": {"order_number": "1"}}
        books = Books.read(disk)
        books.check()
        assert books.products == {"Tux": 78}
