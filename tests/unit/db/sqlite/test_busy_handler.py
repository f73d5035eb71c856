"""A connection waits for another's lock up to its timeout, and a signal ends the wait."""

import _thread
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from db.sqlite import connection as connections
from db.sqlite.busy_handler import wait_for_locks
from db.sqlite.connection import BUSY_TIMEOUT_MS, connect

LONG_MS = 60_000


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[apsw.Connection]:
    """A connection that holds the write lock of a new database."""
    (tmp_path / "t.db").touch()
    holder = connect(tmp_path / "t.db")
    holder.execute("BEGIN IMMEDIATE")
    yield holder
    holder.close()


@pytest.fixture
def waiter(holder: apsw.Connection) -> Iterator[apsw.Connection]:
    """Another connection to the same database."""
    other = apsw.Connection(holder.filename)
    yield other
    other.close()


def test_each_statement_waits_for_the_whole_timeout(waiter: apsw.Connection) -> None:
    wait_for_locks(waiter, 300)
    for _ in range(2):
        begun = time.monotonic()
        with pytest.raises(apsw.BusyError):
            waiter.execute("BEGIN IMMEDIATE")
        assert time.monotonic() - begun >= 0.3, "the second statement waits as long as the first"


def test_a_timeout_of_0_does_not_wait(waiter: apsw.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("db.sqlite.busy_handler.time.sleep", lambda _: pytest.fail("it waits"))
    wait_for_locks(waiter, 0)
    with pytest.raises(apsw.BusyError):
        waiter.execute("BEGIN IMMEDIATE")


def test_a_waiting_connection_gets_the_lock_when_it_is_free(holder: apsw.Connection, waiter: apsw.Connection) -> None:
    wait_for_locks(waiter, LONG_MS)
    waiting = threading.Thread(target=lambda: waiter.execute("BEGIN IMMEDIATE"))
    waiting.start()
    holder.execute("COMMIT")
    waiting.join(60)
    assert waiter.in_transaction


def test_a_connection_of_the_store_waits_for_one_second(holder: apsw.Connection) -> None:
    other = connect(Path(holder.filename))
    begun = time.monotonic()
    with pytest.raises(apsw.BusyError):
        other.execute("BEGIN IMMEDIATE")
    assert time.monotonic() - begun >= BUSY_TIMEOUT_MS / 1000 == 1.0
    other.close()


def test_a_ctrl_c_ends_the_wait(waiter: apsw.Connection) -> None:
    wait_for_locks(waiter, LONG_MS)
    interrupting = threading.Timer(0.1, _thread.interrupt_main)
    interrupting.start()
    with pytest.raises(KeyboardInterrupt):
        waiter.execute("BEGIN IMMEDIATE")
    interrupting.join()
    assert not waiter.in_transaction


def test_no_code_uses_sqlites_own_busy_timeout() -> None:
    """SQLite's busy timeout sleeps in C, where a signal cannot end the wait."""
    folder = Path(connections.__file__).parent
    assert [path for path in folder.rglob("*.py") if "set_busy_timeout" in path.read_text()] == []
