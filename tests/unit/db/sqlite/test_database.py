"""Threads share a database: each has a connection, one writes at a time, and an error of the disk is Unavailable."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import apsw
import pytest

from admin.program import main
from db.sqlite.catalog import CatalogStore
from db.sqlite.database import Database
from db.sqlite.order import OrderStore
from domain.errors import Unavailable
from domain.values import Buy
from tests.support.books import query


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_write_is_rolled_back_on_any_exception(database: Database, error: type[BaseException]) -> None:
    with pytest.raises(error), database.write() as transaction:
        transaction.execute("INSERT INTO t VALUES (1)")
        raise error
    assert query(database.path, "SELECT * FROM t") == []
    with database.write() as transaction:
        transaction.execute("INSERT INTO t VALUES (2)")
    assert query(database.path, "SELECT * FROM t") == [(2,)]


def test_a_write_holds_the_write_lock_from_its_start(database: Database) -> None:
    other = apsw.Connection(str(database.path))
    with database.write(), pytest.raises(apsw.BusyError):
        other.execute("BEGIN IMMEDIATE")
    other.close()


def test_each_thread_has_its_own_connection(database: Database) -> None:
    seen: list[apsw.Connection] = []

    def read() -> None:
        with database.read() as connection:
            seen.append(connection)
        database.close()

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    read()
    assert len({id(connection) for connection in seen}) == 4


def test_a_lock_that_stays_held_raises_unavailable(database: Database) -> None:
    other = apsw.Connection(str(database.path))
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable), database.write():
        pass
    other.execute("ROLLBACK")
    other.close()
    with database.write():
        pass


def test_threads_write_one_at_a_time_without_sleeping(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(value: int) -> None:
        with database.write() as transaction:
            transaction.execute("INSERT INTO t VALUES (?)", [value]).fetchall()
        database.close()

    monkeypatch.setattr(
        "db.sqlite.busy_handler.time",
        SimpleNamespace(sleep=lambda _: pytest.fail("it sleeps"), monotonic=time.monotonic),
    )
    with ThreadPoolExecutor(4) as pool:
        with database.write() as transaction:
            writing = [pool.submit(write, value) for value in range(4)]
            time.sleep(0.1)  # until the threads wait for the lock
            transaction.execute("INSERT INTO t VALUES (4)").fetchall()
        for write_done in writing:
            write_done.result(60)
    assert sorted(query(database.path, "SELECT x FROM t")) == [(value,) for value in range(5)]


def test_a_thread_that_cannot_write_in_time_gets_unavailable(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("db.sqlite.database.BUSY_TIMEOUT_MS", 10)
    with ThreadPoolExecutor(1) as pool, database.write():
        assert isinstance(pool.submit(database.require_writable).exception(60), Unavailable)
    database.require_writable()


def test_a_failing_disk_raises_unavailable_and_the_connection_is_opened_anew(database: Database) -> None:
    with database.read() as connection:
        first = connection
    with pytest.raises(Unavailable), database.write() as transaction:
        transaction.execute("INSERT INTO t VALUES (1)")
        raise apsw.IOError("disk I/O error")
    with database.write() as transaction:
        assert transaction is not first
        transaction.execute("INSERT INTO t VALUES (2)")
    assert query(database.path, "SELECT * FROM t") == [(2,)]


def test_a_disk_that_also_fails_at_close_raises_unavailable(
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


def test_a_full_disk_raises_unavailable(database: Database) -> None:
    with database.read() as connection:
        connection.pragma("max_page_count", connection.pragma("page_count"))
    with pytest.raises(Unavailable), database.write() as transaction:
        for _ in range(100):
            transaction.execute("INSERT INTO t VALUES (zeroblob(4000))")
    assert query(database.path, "SELECT * FROM t") == []


def test_an_error_in_sql_does_not_raise_unavailable(database: Database) -> None:
    with pytest.raises(apsw.SQLError), database.write() as transaction:
        transaction.execute("INSERT INTO nowhere VALUES (1)")


def test_a_large_wal_is_reported(
    catalog: CatalogStore,
    orders: OrderStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("db.sqlite.database.LARGE_WAL_BYTES", "admin.report.LARGE_WAL_BYTES"):
        monkeypatch.setattr(name, 10_000)
    for number in range(5):
        catalog.sell([Buy(f"k{number}", "Tux", 1)])
    [line] = caplog.messages
    assert "catalog.db-wal: has grown beyond" in line and "keeps an old snapshot" in line
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    assert main(["status"]) == 0
    assert "(large:" in capsys.readouterr().out
