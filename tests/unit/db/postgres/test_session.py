"""Tests of the statements of a transaction on PostgreSQL: their round trips, and what their COMMIT tells."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg.errors import UniqueViolation

from db.postgres.database import Database
from db.postgres.session import Session
from domain.errors import Unavailable
from tests.support.postgres import TestServer
from tests.support.tcp_proxy import TcpProxy

INSERT = "INSERT INTO t VALUES (:x) RETURNING x"
COUNT = "SELECT count(*) FROM t"


@pytest.fixture
def proxy(postgres_server: TestServer) -> Iterator[TcpProxy]:
    with TcpProxy(postgres_server.embedded.port) as proxy:
        yield proxy


@pytest.fixture
def remote(database: Database, proxy: TcpProxy, postgres_server: TestServer) -> Iterator[Database]:
    """The database behind the proxy, with an open connection whose statements are prepared."""
    remote = Database(database.address.replace(f":{postgres_server.embedded.port}/", f":{proxy.port}/"), "shop")
    for x in (100, 101):
        with remote.write() as session:
            session.fetch_together((COUNT, {}), (COUNT, {}))
            session.commit_with((INSERT, {"x": x}))
        with remote.read() as session:
            session.fetch_all(COUNT, {})
    yield remote
    remote.close()


def test_statements_that_travel_together_see_each_other(database: Database) -> None:
    with database.write() as session:
        rows = session.fetch_together((INSERT, {"x": 1}), ("UPDATE t SET x = 2", {}), (COUNT, {}))
    assert rows == [[(1,)], [], [(1,)]]


def test_a_batch_is_two_round_trips(remote: Database, proxy: TcpProxy) -> None:
    """The opening travels with the first statements, and COMMIT with the last."""
    before = proxy.round_trips
    with remote.write() as session:
        session.fetch_together((COUNT, {}), (COUNT, {}))
        session.commit_with((INSERT, {"x": 1}))
    assert proxy.round_trips == before + 2


def test_statements_that_are_larger_than_all_buffers_travel_together(database: Database) -> None:
    """Both sides must read while they write, or each would wait for the other for ever."""
    text = "x" * 10_000_000
    with database.write() as session:
        rows = session.fetch_together(*[("SELECT :text::text", {"text": text})] * 4)
    assert rows == [[(text,)]] * 4


def test_a_read_is_one_round_trip(remote: Database, proxy: TcpProxy) -> None:
    before = proxy.round_trips
    with remote.read() as session:
        session.fetch_all(COUNT, {})
    assert proxy.round_trips == before + 1


def test_a_transaction_without_statements_sends_none(remote: Database, proxy: TcpProxy) -> None:
    before = proxy.round_trips
    with remote.write():
        pass
    assert proxy.round_trips == before


def test_a_lost_answer_to_commit_tells_no_outcome(remote: Database, proxy: TcpProxy, other: psycopg.Connection) -> None:
    attempts = []

    def work(session: Session) -> None:
        attempts.append(session.fetch_all(INSERT, {"x": 1}))
        proxy.loses_answers = True

    with pytest.raises(Unavailable):
        remote.run(work)
    assert len(attempts) == 1
    assert other.execute("SELECT x FROM shop.t WHERE x < 100").fetchall() == [(1,)]


def test_a_failed_statement_keeps_those_behind_it_and_commit_from_running(
    database: Database, other: psycopg.Connection
) -> None:
    with pytest.raises(UniqueViolation), database.write() as session:
        session.commit_with((INSERT, {"x": 1}), (INSERT, {"x": 1}), (INSERT, {"x": 2}))
    assert other.execute("SELECT x FROM shop.t").fetchall() == []
    database.require_writable()


def test_a_constraint_that_commit_finds_broken_is_a_mistake(database: Database, other: psycopg.Connection) -> None:
    other.execute("ALTER TABLE shop.t ADD y integer UNIQUE DEFERRABLE INITIALLY DEFERRED")
    with pytest.raises(UniqueViolation), database.write() as session:
        session.fetch_all("INSERT INTO t VALUES (1, 7), (2, 7)", {})
    assert other.execute("SELECT x FROM shop.t").fetchall() == []


def test_a_commit_after_an_ignored_error_is_not_taken_for_one(database: Database) -> None:
    """The server answers it with ROLLBACK, and with no error."""
    with pytest.raises(RuntimeError, match="COMMIT was answered with ROLLBACK"), database.write() as session:
        session.fetch_all(INSERT, {"x": 1})
        with pytest.raises(UniqueViolation):
            session.fetch_all(INSERT, {"x": 1})
    database.require_writable()


def test_nothing_runs_after_commit(database: Database) -> None:
    with pytest.raises(RuntimeError, match="must be the last"), database.write() as session:
        session.commit_with((INSERT, {"x": 1}))
        session.fetch_all(INSERT, {"x": 2})


def test_a_warning_before_commit_is_none_of_commit(database: Database, other: psycopg.Connection) -> None:
    warn = "CREATE FUNCTION shop.warn() RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'hm'; END $$"
    other.execute(warn.encode())
    with database.write() as session:
        session.fetch_all("SELECT warn()", {})
        session.fetch_all(INSERT, {"x": 1})
    assert other.execute("SELECT x FROM shop.t").fetchall() == [(1,)]
