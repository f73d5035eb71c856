"""Nothing is committed or read after a database's files were deleted, moved, replaced or overwritten."""

import logging
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import apsw
import pytest

from db import outages
from db.sqlite.catalog import CatalogStore
from db.sqlite.connection import connect
from db.sqlite.database import Database
from db.sqlite.order import OrderStore
from db.start import StartRefused
from domain.errors import Unavailable
from tests.support.books import query

Change = Callable[[Path], None]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database with the table t (x), in a folder of its own."""
    path = tmp_path / "data" / "t.db"
    path.parent.mkdir()
    path.touch()
    opened = connect(path)
    opened.execute("CREATE TABLE t (x)").fetchall()
    opened.close()
    return path


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    """The database at `path` with one row, which is open in this thread."""
    database = Database(path)
    insert(database, 1)
    yield database
    database.close()


def insert(database: Database, value: int) -> None:
    with database.write() as transaction:
        transaction.execute("INSERT INTO t VALUES (?)", (value,)).fetchall()


def delete(path: Path) -> None:
    path.unlink()


def delete_all(path: Path) -> None:
    for file in list(path.parent.glob(f"{path.name}*")):
        file.unlink()


def move(path: Path) -> None:
    path.rename(path.with_name("elsewhere.db"))


def move_folder(path: Path) -> None:
    path.parent.rename(path.parent.with_name("elsewhere"))


def replace(path: Path) -> None:
    """Replaces the file by a copy of itself: the content is the same, but the file is not the open one."""
    query(path, f"VACUUM INTO '{path.with_name('new.db')}'")
    path.with_name("new.db").rename(path)


def delete_wal(path: Path) -> None:
    path.with_name("t.db-wal").unlink()


def delete_shm(path: Path) -> None:
    path.with_name("t.db-shm").unlink()


def replace_wal(path: Path) -> None:
    wal = path.with_name("t.db-wal")
    shutil.copy(wal, path.with_name("copy"))
    path.with_name("copy").rename(wal)


EVERY_CHANGE = [delete, delete_all, move, move_folder, replace, delete_wal, delete_shm, replace_wal]


@pytest.mark.parametrize("change", EVERY_CHANGE)
def test_nothing_is_committed_after_a_file_was_moved(database: Database, path: Path, change: Change) -> None:
    change(path)
    for value in (2, 3):
        with pytest.raises(Unavailable):
            insert(database, value)


@pytest.mark.parametrize("change", [delete, delete_all, move, move_folder, replace])
def test_nothing_is_read_after_the_database_was_moved(database: Database, path: Path, change: Change) -> None:
    change(path)
    with pytest.raises(Unavailable), database.read():
        pass


@pytest.mark.parametrize("change", [delete_wal, delete_shm, replace_wal])
def test_after_its_wal_or_shm_was_moved_no_thread_uses_its_connection(
    database: Database, path: Path, change: Change
) -> None:
    """Queries, buys and /health use connections of several threads."""
    with ThreadPoolExecutor(1) as other:
        other.submit(lambda: database.read().__enter__()).result()
        change(path)
        with pytest.raises(Unavailable):
            insert(database, 2)
        with pytest.raises(Unavailable):
            other.submit(lambda: database.read().__enter__()).result()
        other.submit(database.close).result()


@pytest.mark.parametrize("change", [delete_all, move_folder])
def test_no_database_is_created_in_the_place_of_a_lost_one(database: Database, path: Path, change: Change) -> None:
    change(path)
    with pytest.raises(Unavailable):
        insert(database, 2)
    assert not path.exists()
    with pytest.raises(Unavailable):
        insert(Database(path), 2)
    assert not path.exists()


def test_a_file_that_is_put_back_is_used_again(database: Database, path: Path) -> None:
    move(path)
    with pytest.raises(Unavailable):
        insert(database, 2)
    path.with_name("elsewhere.db").rename(path)
    insert(database, 3)
    move_folder(path)
    with pytest.raises(Unavailable):
        insert(database, 2)
    path.parent.with_name("elsewhere").rename(path.parent)
    insert(database, 3)
    assert query(path, "SELECT x FROM t") == [(1,), (3,), (3,)]


def test_a_link_that_is_changed_to_another_file_is_noticed(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(path)
    database = Database(link)
    insert(database, 1)
    other = tmp_path / "other.db"
    shutil.copy(path, other)
    link.unlink()
    link.symlink_to(other)
    with pytest.raises(Unavailable):
        insert(database, 2)
    link.unlink()
    link.symlink_to(path)
    insert(database, 3)
    database.close()
    assert query(path, "SELECT x FROM t") == [(1,), (3,)]


def test_a_replacement_is_not_opened(database: Database, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite would apply the WAL of the old file to it."""
    replace(path)
    with pytest.raises(Unavailable):
        insert(database, 2)
    monkeypatch.setattr("db.sqlite.database.connect", lambda _path: pytest.fail("it was opened"))
    with pytest.raises(Unavailable):
        insert(database, 2)


def test_the_commits_in_a_deleted_wal_are_saved(database: Database, path: Path) -> None:
    insert(database, 2)
    delete_wal(path)
    with pytest.raises(Unavailable):
        insert(database, 3)
    assert query(path, "SELECT x FROM t") == [(1,), (2,)]


def test_a_deleted_wal_does_not_overwrite_later_commits_of_others(database: Database, path: Path) -> None:
    opened = connect(path)  # stays open, so that no other connection checkpoints when it closes
    delete_wal(path)
    delete_shm(path)
    other = connect(path)
    other.execute("CREATE TABLE theirs (x)").fetchall()
    with pytest.raises(Unavailable):
        insert(database, 3)
    opened.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    opened.close()
    other.close()
    assert query(path, "SELECT count(*) FROM theirs") == [(0,)]
    assert query(path, "PRAGMA integrity_check") == [("ok",)]


def test_a_refused_first_file_is_not_checked_for_each_request(path: Path) -> None:
    checks = []

    def refuse() -> None:
        checks.append(1)
        raise StartRefused("it is another store's")

    database = Database(path, refuse)
    for _ in range(3):
        with pytest.raises(Unavailable), database.read():
            pass
    assert len(checks) == 1


def test_a_moved_file_is_logged_once_and_its_return_once(
    database: Database, path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outages, "MIN_INTERVAL_S", 0.0)
    with caplog.at_level(logging.INFO):
        move(path)
        for _ in range(5):
            with pytest.raises(Unavailable):
                insert(database, 2)
        path.with_name("elsewhere.db").rename(path)
        insert(database, 3)
        insert(database, 4)
    moved, missing, writable = caplog.messages
    assert "t.db" in moved and "moved" in moved
    assert "t.db: the file is missing; put it back" in missing
    assert "can be written again" in writable


def empty(path: Path) -> None:
    path.write_bytes(b"")


def overwrite(path: Path) -> None:
    """Writes another database into the same file, as `cp` does."""
    other = path.with_name("other.db")
    shell = apsw.Connection(str(other))
    shell.execute("PRAGMA application_id = 7; VACUUM").fetchall()
    shell.close()
    path.write_bytes(other.read_bytes())


@pytest.mark.parametrize("change", [empty, overwrite])
def test_nothing_is_committed_into_an_overwritten_file(database: Database, path: Path, change: Change) -> None:
    database.close()
    insert(database, 2)
    database.close()  # checkpoints both rows
    insert(database, 3)
    wal = path.with_name("t.db-wal")
    before = wal.read_bytes()
    change(path)
    for value in (4, 5):
        with pytest.raises(Unavailable):
            insert(database, value)
        with pytest.raises(Unavailable), database.read():
            pass
    if change is empty:
        assert wal.read_bytes() == before, "the WAL may be the last copy"


def test_a_vacuumed_database_is_used_again(database: Database, path: Path) -> None:
    with database.write() as transaction:
        transaction.execute("INSERT INTO t VALUES (zeroblob(1000000))").fetchall()
    database.close()
    insert(database, 2)
    with database.write() as transaction:
        transaction.execute("DELETE FROM t WHERE length(x) > 100").fetchall()
    shell = apsw.Connection(str(path))
    shell.execute("VACUUM; PRAGMA wal_checkpoint").fetchall()
    shell.close()
    assert path.stat().st_size < 100_000
    for value in (3, 4):  # the first one may fail, and open a new connection
        with suppress(Unavailable):
            insert(database, value)
    insert(database, 5)
    assert query(path, "SELECT count(*) FROM t WHERE x = 5") == [(1,)]


def test_an_order_log_that_gets_its_id_while_it_is_open_is_still_used(
    catalog: CatalogStore, orders: OrderStore
) -> None:
    assert orders.intents(1) == []
    assert orders.pair(catalog.introduce(None)) is None
    orders.close()
    assert orders.intents(1) == []


def test_a_file_overwritten_with_another_stores_database_is_not_used(path: Path) -> None:
    """No connection was open when the file was overwritten, so only its content shows the change."""
    path.unlink()
    create_with_id(path, "a" * 32)
    database = Database(path)
    with database.read():
        pass
    database.close()
    other = path.with_name("other.db")
    create_with_id(other, "b" * 32)
    path.write_bytes(other.read_bytes())
    with pytest.raises(Unavailable), database.read():
        pass


def create_with_id(path: Path, id: str) -> None:
    """Creates a database with this store id."""
    with apsw.Connection(str(path)) as shell:
        shell.execute(f"CREATE TABLE store (id TEXT); INSERT INTO store VALUES ('{id}')").fetchall()
