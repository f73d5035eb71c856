"""Files get their names in a folder only when all are complete and synced, and nothing is overwritten."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from db.sqlite.backup import backup, restore
from db.sqlite.staging import InTheWay
from domain.checkout import Checkout
from tests.support.backups import all_rows, make_backup, no_progress
from tests.support.tiers import ROOT


def test_a_backup_takes_the_place_of_an_empty_folder(shop: Checkout, data: Path, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    assert make_backup(data, tmp_path / "b").is_clean


def test_a_backup_overwrites_nothing(shop: Checkout, data: Path, tmp_path: Path) -> None:
    target = tmp_path / "b"
    target.mkdir()
    for name in ("catalog.db", "order.db", "order.db-wal"):
        (target / name).write_text("dear")
        with pytest.raises(InTheWay, match=f"b/{name} is there already; name a new folder"):
            make_backup(data, target)
        with pytest.raises(InTheWay, match=f"b/{name} is there already"):
            make_backup(data, target / name)
        assert [path.name for path in target.iterdir()] == [name]
        (target / name).unlink()
    (target / "nowhere").symlink_to("is-not-there")
    with pytest.raises(InTheWay, match="b/nowhere is there already"):
        make_backup(data, target / "nowhere")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "data"]


def test_a_backup_leaves_other_files_in_its_folder_alone(shop: Checkout, data: Path, tmp_path: Path) -> None:
    """A mount point has lost+found, and its owner may keep other files there."""
    target = tmp_path / "b"
    (target / "lost+found").mkdir(parents=True)
    (target / "diary").write_text("dear")
    assert make_backup(data, target).is_clean
    assert sorted(path.name for path in target.iterdir()) == ["catalog.db", "diary", "lost+found", "order.db"]
    assert all_rows(target) == all_rows(data)


@pytest.mark.parametrize("exists", [True, False])
def test_only_its_owner_can_read_a_backup(shop: Checkout, data: Path, tmp_path: Path, exists: bool) -> None:
    """The files hold the keys of buys."""
    if exists:
        (tmp_path / "b").mkdir(0o700)
    umask = os.umask(0o022)
    try:
        make_backup(data, tmp_path / "b")
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
def test_the_later_of_two_concurrent_backups_to_a_new_folder_fails(
    shop: Checkout, data: Path, tmp_path: Path, what: str
) -> None:
    target = tmp_path / "b"

    def on_progress(step: str) -> None:
        if step != "copy of order.db":
            return
        if what == "a backup":
            make_backup(data, target)
        else:
            target.write_text("dear diary")

    with pytest.raises(
        InTheWay, match=r"another one has made .*/b\S* meanwhile, and it stays as it is; name a new one"
    ):
        backup(data, target, on_progress)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "data"]
    if what == "a backup":
        assert sorted(path.name for path in target.iterdir()) == ["catalog.db", "order.db"]
        assert all_rows(target) == all_rows(data)


@pytest.mark.parametrize("has_links", [True, False])
def test_the_later_of_two_concurrent_backups_to_an_existing_folder_fails(
    shop: Checkout, data: Path, tmp_path: Path, has_links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "b"
    (target / "lost+found").mkdir(parents=True)

    def no_links(*_: object) -> None:
        raise PermissionError("this file system has no hard links")

    def on_progress(step: str) -> None:
        if step == "copy of order.db":
            make_backup(data, target)

    if not has_links:
        monkeypatch.setattr(os, "link", no_links)
    with pytest.raises(InTheWay, match=r"another one has made .*/b/catalog\.db meanwhile"):
        backup(data, target, on_progress)
    assert sorted(path.name for path in target.iterdir()) == ["catalog.db", "lost+found", "order.db"]
    assert all_rows(target) == all_rows(data)


def test_both_files_are_moved_into_place_or_neither(
    shop: Checkout, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "b"
    target.mkdir()

    def on_progress(step: str) -> None:
        if step == "copy of order.db":
            (target / "order.db").write_text("dear diary")

    with pytest.raises(InTheWay, match=r"b/order\.db meanwhile"):
        backup(data, target, on_progress)
    assert [path.name for path in target.iterdir()] == ["order.db"]


def test_a_killed_backup_does_not_look_like_a_backup(shop: Checkout, data: Path, tmp_path: Path) -> None:
    script = f"""
import os
from pathlib import Path
from db.sqlite.backup import backup
backup(Path({str(data)!r}), Path({str(tmp_path / "b")!r}), lambda step: step == "refusals" and os._exit(9))
"""
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False).returncode == 9
    [left] = [path.name for path in tmp_path.iterdir() if path.name != "data"]
    assert left.startswith(".b-") and left.endswith(".unfinished")
    assert make_backup(data, tmp_path / "b").is_clean


def test_a_backup_is_synced_before_it_gets_its_name(
    shop: Checkout, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[str, bool]] = []
    fsync = os.fsync

    def record(descriptor: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        if data not in (path, path.parent):
            synced.append((path.name.partition("-")[0], (tmp_path / "b").exists()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    make_backup(data, tmp_path / "b")
    assert set(synced[:2]) == {("catalog.db", False), ("order.db", False)}
    assert synced[2:] == [(".b", False), (tmp_path.name.partition("-")[0], True)]
