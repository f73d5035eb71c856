import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import apsw
import pytest

from db.connection import connect
from db.database import Database
from db.staging import create_private
from domain.errors import Unavailable
from tests.support.books import query
from tests.support.tiers import ROOT


@pytest.fixture
def database(tmp_path: Path) -> Database:
    create_private(tmp_path / "t.db")
    database = Database(tmp_path / "t.db")
    with database.write() as transaction:
        transaction.execute("CREATE TABLE t (x)")
    return database


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that the store, and not SQLite, has synced."""
    paths: list[str] = []
    monkeypatch.setattr(
        "db.connection.os.fsync", lambda descriptor: paths.append(os.readlink(f"/proc/self/fd/{descriptor}"))
    )
    return paths


def test_a_connection_is_fully_durable(database: Database) -> None:
    with database.read() as connection:
        assert connection.pragma("journal_mode") == "wal"
        assert connection.pragma("synchronous") == 2, "FULL"
        assert connection.pragma("foreign_keys") == 1


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_rolls_back_on_any_exception(database: Database, error: type[BaseException]) -> None:
    with pytest.raises(error), database.write() as transaction:
        transaction.execute("INSERT INTO t VALUES (1)")
        raise error
    assert query(database.path, "SELECT * FROM t") == []
    with database.write() as transaction:
        transaction.execute("INSERT INTO t VALUES (2)")
    assert query(database.path, "SELECT * FROM t") == [(2,)]


def test_holds_the_write_lock_from_the_start(database: Database) -> None:
    other = apsw.Connection(str(database.path))
    with database.write(), pytest.raises(apsw.BusyError):
        other.execute("BEGIN IMMEDIATE")
    other.close()


def test_each_thread_has_its_own_connection(database: Database) -> None:
    seen: list[apsw.Connection] = []

    def look() -> None:
        with database.read() as connection:
            seen.append(connection)
        database.close()

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    look()
    assert len({id(connection) for connection in seen}) == 4


def test_a_lock_that_stays_is_unavailable(database: Database) -> None:
    other = apsw.Connection(str(database.path))
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable), database.write():
        pass
    other.execute("ROLLBACK")
    other.close()
    with database.write():
        pass


def test_threads_write_in_turn_and_none_sleeps_beside_a_free_lock(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(value: int) -> None:
        with database.write() as transaction:
            transaction.execute("INSERT INTO t VALUES (?)", [value]).fetchall()
        database.close()

    monkeypatch.setattr(
        "db.busy_handler.time", SimpleNamespace(sleep=lambda _: pytest.fail("it sleeps"), monotonic=time.monotonic)
    )
    with ThreadPoolExecutor(4) as pool:
        with database.write() as transaction:
            writing = [pool.submit(write, value) for value in range(4)]
            time.sleep(0.1)  # for them to come and wait
            transaction.execute("INSERT INTO t VALUES (4)").fetchall()
        for done in writing:
            done.result(60)
    assert sorted(query(database.path, "SELECT x FROM t")) == [(value,) for value in range(5)]


def test_a_thread_whose_turn_does_not_come_is_told_so(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("db.database.BUSY_TIMEOUT_MS", 10)
    with ThreadPoolExecutor(1) as pool, database.write():
        assert isinstance(pool.submit(database.require_writable).exception(60), Unavailable)
    database.require_writable()


def test_a_failing_disk_is_unavailable_and_the_connection_is_opened_afresh(database: Database) -> None:
    with database.read() as connection:
        first = connection
    with pytest.raises(Unavailable), database.write() as transaction:
        transaction.execute("INSERT INTO t VALUES (1)")
        raise apsw.IOError("disk I/O error")
    with database.write() as transaction:
        assert transaction is not first
        transaction.execute("INSERT INTO t VALUES (2)")
    assert query(database.path, "SELECT * FROM t") == [(2,)]


def test_a_disk_that_fails_again_at_the_closing_is_unavailable_all_the_same(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing(apsw.Connection):
        def close(self, force: bool = False) -> None:
            super().close(force)
            raise apsw.IOError("disk I/O error")

    database.close()
    monkeypatch.setattr(apsw, "Connection", Failing)
    with pytest.raises(Unavailable), database.read():
        raise apsw.IOError("disk I/O error")


def test_what_a_killed_process_has_written_is_settled_before_it_is_read(tmp_path: Path, synced: list[str]) -> None:
    killed = """
import os, sys
from pathlib import Path
from db.database import Database
from db.staging import create_private
create_private(Path(sys.argv[1]))
with Database(Path(sys.argv[1])).write() as transaction:
    transaction.execute("CREATE TABLE t (x); INSERT INTO t VALUES (1)").fetchall()
os._exit(0)
"""
    path = tmp_path / "t.db"
    subprocess.run([sys.executable, "-c", killed, path], cwd=ROOT, check=True)
    log = path.with_name("t.db-wal")
    assert log.stat().st_size > 0
    database = Database(path)
    with database.read():
        assert log.stat().st_size == 0, "no older part of it can come back and hide what is newer"
        assert synced[-2:] == [str(log), str(tmp_path)]
        # The copy is another program's work: a file that this one closes would lose its locks.
        subprocess.run(["cp", path, tmp_path / "alone.db"], check=True)
    database.close()
    assert query(tmp_path / "alone.db", "SELECT x FROM t") == [(1,)]


def test_a_database_may_stand_elsewhere_behind_a_link(tmp_path: Path, synced: list[str]) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "t.db").symlink_to(tmp_path / "disk" / "t.db")
    create_private(tmp_path / "disk" / "t.db")
    connect(tmp_path / "t.db").close()
    assert synced == [str(tmp_path / "disk" / "t.db-wal"), str(tmp_path / "disk")]


def test_a_full_disk_is_unavailable(database: Database) -> None:
    with database.read() as connection:
        connection.pragma("max_page_count", connection.pragma("page_count"))
    with pytest.raises(Unavailable), database.write() as transaction:
        for _ in range(100):
            transaction.execute("INSERT INTO t VALUES (zeroblob(4000))")
    assert query(database.path, "SELECT * FROM t") == []


def test_a_mistake_of_ours_is_no_trouble_of_the_disk(database: Database) -> None:
    with pytest.raises(apsw.SQLError), database.write() as transaction:
        transaction.execute("INSERT INTO nowhere VALUES (1)")


def test_who_waits_to_checkpoint_keeps_no_new_connection_waiting(database: Database, synced: list[str]) -> None:
    reader, writer = connect(database.path), connect(database.path)
    reader.execute("BEGIN; SELECT x FROM t").fetchall()
    writer.execute("INSERT INTO t VALUES (2)").fetchall()
    writer.set_busy_timeout(10_000)
    checkpoint = threading.Thread(target=writer.wal_checkpoint, kwargs={"mode": apsw.SQLITE_CHECKPOINT_RESTART})
    checkpoint.start()
    time.sleep(0.2)
    synced.clear()
    late = connect(database.path)
    assert late.execute("SELECT count(*) FROM t").get == 1
    assert checkpoint.is_alive(), "it still waits for the reader"
    assert f"{database.path}-wal" in synced, "what is in the log was synced all the same"
    reader.execute("COMMIT").fetchall()
    checkpoint.join()
    for connection in (reader, writer, late):
        connection.close()


def test_a_disk_without_room_for_a_checkpoint_can_be_read(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(apsw.Connection):
        def wal_checkpoint(self, *_: Any, **__: Any) -> Any:
            raise apsw.FullError

    database.close()
    monkeypatch.setattr(apsw, "Connection", Full)
    with database.read() as connection:
        assert connection.execute("SELECT count(*) FROM t").get == 0


def test_a_log_that_cannot_be_synced_is_trouble(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError("Input/output error")

    database.close()
    monkeypatch.setattr("db.connection.os.fsync", fail)
    with pytest.raises(apsw.IOError, match="Input/output error"):
        connect(database.path)
    with pytest.raises(Unavailable), database.read():
        pass
