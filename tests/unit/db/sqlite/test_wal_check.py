"""A write-ahead log that belongs to another file, or to a lost one, is refused before SQLite applies it."""

import shutil
from pathlib import Path

import apsw
import pytest

from db.sqlite.backup import backup, restore
from db.sqlite.catalog import CatalogStore
from db.sqlite.order import OrderStore
from db.sqlite.reconcile import reconcile
from db.sqlite.snapshots import CATALOG, FILES, File, Snapshots, Unreadable
from db.start import StartRefused
from domain.values import Buy
from tests.support.backups import no_progress

# The orders with the keys from k<first> to k<last>.
INSERT_ORDERS = """
    WITH RECURSIVE n (i) AS (SELECT :first UNION ALL SELECT i + 1 FROM n WHERE i < :last)
    INSERT INTO orders (key, product, quantity, price_cents) SELECT 'k' || i, 'Tux', 1, 1 FROM n"""


@pytest.mark.parametrize("file", FILES)
def test_a_backups_file_beside_the_wal_of_a_lost_file_is_refused(crashed: Path, tmp_path: Path, file: File) -> None:
    """SQLite would apply the WAL to the backup's file."""
    shutil.copy(tmp_path / "b" / file.name, crashed / file.name)
    before = {path.name: path.read_bytes() for path in crashed.iterdir() if not path.name.endswith("-shm")}
    why = rf"{file.name}-wal is the write-ahead log of another file than this {file.name}.*--only {file.name}"
    with pytest.raises(Unreadable, match=why):
        Snapshots(crashed)
    with pytest.raises(Unreadable, match=why):
        backup(crashed, tmp_path / "b2", no_progress)
    with pytest.raises(Unreadable, match=why):
        restore(crashed, tmp_path / "r", no_progress)
    store = CatalogStore(crashed / file.name) if file is CATALOG else OrderStore(crashed / file.name)
    with pytest.raises(StartRefused, match=why):
        store.migrate()
    assert {path.name: path.read_bytes() for path in crashed.iterdir() if not path.name.endswith("-shm")} == before


@pytest.mark.parametrize("is_empty", [True, False])
def test_a_wal_without_its_database_prevents_a_start(crashed: Path, is_empty: bool) -> None:
    wal = (crashed / "order.db-wal").read_bytes()
    (crashed / "order.db").unlink()
    if is_empty:
        (crashed / "order.db").touch()
    with pytest.raises(StartRefused, match=r"order\.db-wal is the write-ahead log of a missing database"):
        OrderStore(crashed / "order.db").migrate()
    assert (crashed / "order.db-wal").read_bytes() == wal


def test_another_databases_wal_is_refused(crashed: Path, tmp_path: Path) -> None:
    """Both files are in WAL mode, so that only the integrity check notices the mismatch."""
    shutil.copy(wal_of_larger_log(tmp_path / "other"), crashed / "order.db-wal")
    before = (crashed / "order.db").read_bytes()
    with pytest.raises(Unreadable, match=r"order\.db and its write-ahead log do not match"):
        list(reconcile(crashed, [Buy("key", "Tux", 1)]))
    with pytest.raises(StartRefused, match=r"order\.db and its write-ahead log do not match"):
        OrderStore(crashed / "order.db").migrate()
    assert (crashed / "order.db").read_bytes() == before


def wal_of_larger_log(folder: Path) -> Path:
    """Makes an order log with 2,021 orders, and returns a copy of its WAL, which has the pages of the last 20."""
    folder.mkdir()
    path = folder / "order.db"
    OrderStore(path).migrate()
    connection = apsw.Connection(str(path))
    connection.execute("DROP TRIGGER orders_insert").fetchall()  # it requires an intent for each order
    connection.execute(INSERT_ORDERS, {"first": 0, "last": 2000}).fetchall()
    connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_RESTART)
    connection.execute(INSERT_ORDERS, {"first": 2001, "last": 2020}).fetchall()
    wal = shutil.copy(f"{path}-wal", folder / "wal")
    connection.close()
    return Path(wal)
