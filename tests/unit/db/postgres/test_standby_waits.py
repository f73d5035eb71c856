"""A COMMIT that waits for a standby tells nothing until the standby has it."""

import threading

import psycopg
import pytest

from db.postgres.database import Database
from domain.errors import Unavailable
from tests.support.waiting import wait_until

COUNT = "SELECT count(*) FROM t"
WAITING = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND datname = current_database()"
pytestmark = pytest.mark.usefixtures("without_standby")


def test_a_transaction_that_only_read_waits_for_the_standby_too(hasty: Database) -> None:
    """The rows that it has read may not be on the standby yet: the number of an order, for example."""
    with pytest.raises(Unavailable), hasty.write() as session:
        session.fetch_all(COUNT, {})
    with pytest.raises(Unavailable):
        hasty.run(lambda session: session.fetch_all(COUNT, {}))


def test_a_read_does_not_wait(hasty: Database) -> None:
    with hasty.read() as session:
        assert session.fetch_all(COUNT, {}) == [(0,)]


def test_who_gives_up_does_not_cancel_the_wait(hasty: Database, other: psycopg.Connection) -> None:
    """A cancelled wait would make the row visible while no standby has it."""
    with pytest.raises(Unavailable), hasty.write() as session:
        session.fetch_all("INSERT INTO t VALUES (1)", {})
    assert len(other.execute(WAITING).fetchall()) == 1
    assert other.execute("SELECT count(*) FROM shop.t").fetchall() == [(0,)]


def test_a_commit_that_brings_a_warning_is_no_answer(database: Database, other: psycopg.Connection) -> None:
    told: list[object] = []

    def insert() -> None:
        try:
            with database.write() as session:
                told.append(session.commit_with(("INSERT INTO t VALUES (1) RETURNING x", {})))
        except Unavailable as error:
            told.append(error)

    thread = threading.Thread(target=insert)
    thread.start()
    wait_until("the COMMIT waits", lambda: bool(other.execute(WAITING).fetchall()))
    [(pid,)] = other.execute(WAITING).fetchall()
    other.execute("SELECT pg_cancel_backend(%s)", [pid])
    thread.join()
    assert [type(answer) for answer in told] == [Unavailable]
    assert other.execute("SELECT count(*) FROM shop.t").fetchall() == [(1,)]  # stored, but maybe lost with the primary


def test_the_log_says_that_a_standby_may_be_missing(hasty: Database, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(Unavailable):
        hasty.require_writable()
    assert "maybe no synchronous standby is connected" in caplog.messages[-1]
