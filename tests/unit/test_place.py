"""Files that are deleted, moved or replaced under an open store."""

import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

from db import trouble
from db.connection import Database, StartRefused, connect
from domain.errors import Unavailable
from tests.books import query

Change = Callable[[Path], None]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "data" / "t.db"
    path.parent.mkdir()
    path.touch()
    opened = connect(path)
    opened.execute("CREATE TABLE t (x)").fetchall()
    opened.close()
    return path


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
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
    """By a copy of what is there: as good a file as any, but not the one that is open."""
    query(path, f"VACUUM INTO '{path.with_name('new.db')}'")
    path.with_name("new.db").rename(path)


def delete_log(path: Path) -> None:
    path.with_name("t.db-wal").unlink()


def delete_index(path: Path) -> None:
    path.with_name("t.db-shm").unlink()


def replace_log(path: Path) -> None:
    log = path.with_name("t.db-wal")
    shutil.copy(log, path.with_name("copy"))
    path.with_name("copy").rename(log)


EVERY_CHANGE = [delete, delete_all, move, move_folder, replace, delete_log, delete_index, replace_log]


@pytest.mark.parametrize("change", EVERY_CHANGE)
def test_nothing_is_committed_into_a_file_that_is_not_where_it_was(
    database: Database, path: Path, change: Change
) -> None:
    change(path)
    for value in (2, 3):
        with pytest.raises(Unavailable):
            insert(database, value)


@pytest.mark.parametrize("change", [delete, delete_all, move, move_folder, replace])
def test_nor_is_anything_read_from_it(database: Database, path: Path, change: Change) -> None:
    change(path)
    with pytest.raises(Unavailable), database.read():
        pass


@pytest.mark.parametrize("change", [delete_all, move_folder])
def test_no_database_is_made_in_its_place(database: Database, path: Path, change: Change) -> None:
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


def test_a_link_that_leads_elsewhere_now_is_another_file(path: Path, tmp_path: Path) -> None:
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


def test_another_file_is_not_even_opened(database: Database, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening it would bring the log that lies beside it into it."""
    replace(path)
    with pytest.raises(Unavailable):
        insert(database, 2)
    monkeypatch.setattr("db.connection.connect", lambda _path: pytest.fail("it was opened"))
    with pytest.raises(Unavailable):
        insert(database, 2)


def test_what_a_deleted_log_had_is_saved(database: Database, path: Path) -> None:
    insert(database, 2)
    delete_log(path)
    with pytest.raises(Unavailable):
        insert(database, 3)
    assert query(path, "SELECT x FROM t") == [(1,), (2,)]


def test_what_others_wrote_without_the_log_is_not_written_over(database: Database, path: Path) -> None:
    opened = connect(path)  # keeps the database from being checkpointed by who closes it
    delete_log(path)
    delete_index(path)
    other = connect(path)
    other.execute("CREATE TABLE theirs (x)").fetchall()
    with pytest.raises(Unavailable):
        insert(database, 3)
    opened.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    opened.close()
    other.close()
    assert query(path, "SELECT count(*) FROM theirs") == [(0,)]
    assert query(path, "PRAGMA integrity_check") == [("ok",)]


def test_the_first_file_is_looked_at_before_it_is_used(path: Path) -> None:
    looks = []

    def refuse() -> None:
        looks.append(1)
        raise StartRefused("it is another store's")

    database = Database(path, refuse)
    for _ in range(3):
        with pytest.raises(Unavailable), database.read():
            pass
    assert len(looks) == 1, "not at each request"


def test_the_log_hears_of_it_once_and_of_the_end_once(
    database: Database, path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trouble, "QUIET_S", 0.0)
    with caplog.at_level(logging.INFO):
        move(path)
        for _ in range(5):
            with pytest.raises(Unavailable):
                insert(database, 2)
        path.with_name("elsewhere.db").rename(path)
        insert(database, 3)
        insert(database, 4)
    moved, missing, well = caplog.messages
    assert "t.db" in moved and "moved" in moved
    assert "t.db: the file is missing; put it back" in missing
    assert "can be written again" in well


def test_a_trouble_that_comes_and_goes_is_told_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(100):
        trouble.begins("a disk", "a disk: it fails")
        trouble.ends("a disk", "a disk: it works")
    assert caplog.messages == ["a disk: it fails", "a disk: it works"]


def test_what_writing_has_met_a_read_does_not_end(caplog: pytest.LogCaptureFixture) -> None:
    trouble.begins("another disk", "it is read-only")
    trouble.ends("another disk", "it works", writing=False)
    trouble.begins("another disk", "it is read-only", writing=False)
    assert caplog.messages == ["it is read-only"]
    trouble.ends("another disk", "it works")
    assert caplog.messages == ["it is read-only", "it works"]
