"""Snapshots change no file, and explain in one line why they refuse one."""

from pathlib import Path

import apsw
import pytest

from db.sqlite.snapshots import CATALOG, LOG, Snapshots, Unreadable
from domain.checkout import Checkout
from domain.values import Buy
from tests.support.forgery import forge_schema


def test_a_snapshot_cannot_be_written_to(books: Path) -> None:
    with (
        Snapshots(books) as snapshots,
        snapshots.snapshot(CATALOG) as connection,
        pytest.raises(apsw.ReadOnlyError),
    ):
        connection.execute("DELETE FROM log.intents")


def test_a_snapshot_blocks_checkpoints_only_while_it_lasts(books: Path, checkout: Checkout) -> None:
    with Snapshots(books) as snapshots:
        with snapshots.snapshot(LOG):
            checkout.place(Buy("during", "Tux", 1))
            assert not can_checkpoint(books / "order.db")
        assert can_checkpoint(books / "order.db")


def can_checkpoint(path: Path) -> bool:
    """Returns whether a checkpoint of the whole WAL succeeds now."""
    shell = apsw.Connection(str(path))
    busy, *_ = shell.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()[0]
    shell.close()
    return not busy


def test_a_missing_file_is_reported_and_not_created(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match=r"catalog\.db does not exist; DATA_DIR says"):
        Snapshots(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"my diary" * 1000])
def test_a_file_that_is_no_database_is_reported(books: Path, content: bytes) -> None:
    (books / "order.db").write_bytes(content)
    with pytest.raises(
        Unreadable, match=r"order\.db(: damaged or no database| is empty| is not the order\.db of this store)"
    ):
        Snapshots(books)
    assert (books / "order.db").read_bytes() == content


def test_an_unreadable_file_is_reported(books: Path) -> None:
    (books / "catalog.db-wal").mkdir()
    with pytest.raises(Unreadable, match=r"cannot be read: .*catalog\.db: unable to open"):
        Snapshots(books)


def test_exchanged_files_are_reported(books: Path) -> None:
    (books / "order.db").write_bytes((books / "catalog.db").read_bytes())
    with pytest.raises(Unreadable, match=r"order\.db is not the order\.db of this store"):
        Snapshots(books)


@pytest.mark.parametrize(
    ("version", "what_to_do"),
    [
        (1, f"older than this code's {CATALOG.newest}; start the store once"),
        (99, f"newer than this code's {CATALOG.newest}; use the newer release"),
    ],
)
def test_another_schema_is_reported_and_not_migrated(books: Path, version: int, what_to_do: str) -> None:
    forge_schema(books / "catalog.db", f"PRAGMA user_version = {version}")
    before = (books / "catalog.db").read_bytes()
    with pytest.raises(Unreadable, match=f"has schema {version}, {what_to_do}"):
        Snapshots(books)
    assert (books / "catalog.db").read_bytes() == before
