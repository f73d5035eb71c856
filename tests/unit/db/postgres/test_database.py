"""Tests of transactions on PostgreSQL, and of what becomes of them when the server fails or others are in the way."""

import os
import signal
import threading
import time
from collections.abc import Iterator

import psycopg
import pytest
from psycopg.errors import UniqueViolation

from db.postgres.database import MAX_CONNECTIONS, Database
from db.postgres.session import Session
from domain.errors import OrderNotFound, Unavailable
from tests.support.at_once import at_once
from tests.support.postgres import TestServer
from tests.support.waiting import wait_until

INSERT = "INSERT INTO t VALUES (:x) RETURNING x"
COUNT = "SELECT count(*) FROM t"
LOCK = "SELECT x FROM t WHERE x = :x FOR NO KEY UPDATE"


def rows(other: psycopg.Connection) -> list[tuple[object, ...]]:
    """Returns the rows of the table, as others see them."""
    return other.execute("SELECT x FROM shop.t ORDER BY x").fetchall()


def test_commits_at_the_end_of_the_block(database: Database, other: psycopg.Connection) -> None:
    with database.write() as session:
        session.fetch_all(INSERT, {"x": 7})
        assert rows(other) == []
    assert rows(other) == [(7,)]


def test_rolls_back_on_any_error(database: Database, other: psycopg.Connection) -> None:
    for error in (ZeroDivisionError, KeyboardInterrupt, OrderNotFound):
        with pytest.raises(error), database.write() as session:
            session.fetch_all(INSERT, {"x": 1})
            raise error
    assert rows(other) == []


def test_runs_work_and_returns_its_result(database: Database, other: psycopg.Connection) -> None:
    assert database.run(lambda session: session.fetch_all(INSERT, {"x": 1})) == [(1,)]
    assert database.run(lambda session: session.commit_with((INSERT, {"x": 2}))) == [[(2,)]]
    assert rows(other) == [(1,), (2,)]


def test_each_statement_of_a_transaction_sees_what_others_have_committed(
    database: Database, other: psycopg.Connection
) -> None:
    """READ COMMITTED, whatever the database says: who waits for a lock then reads what its holder has written."""
    other.execute("SET default_transaction_isolation = 'serializable'")
    name = database.address.rpartition("/")[2]
    other.execute(f"ALTER DATABASE {name} SET default_transaction_isolation = 'repeatable read'".encode())
    other.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on".encode())
    with database.write() as session:
        assert session.fetch_all(COUNT, {}) == [(0,)]
        other.execute("INSERT INTO shop.t VALUES (1)")
        assert session.fetch_all(COUNT, {}) == [(1,)]


def test_a_snapshot_sees_one_moment(database: Database, other: psycopg.Connection) -> None:
    with database.snapshot() as session:
        assert session.fetch_all(COUNT, {}) == [(0,)]
        other.execute("INSERT INTO shop.t VALUES (1)")
        assert session.fetch_all(COUNT, {}) == [(0,)]


def test_a_deadlock_is_tried_again(database: Database) -> None:
    with database.write() as session:
        session.fetch_all("INSERT INTO t VALUES (0), (1)", {})
    both_hold_one = threading.Barrier(2)
    attempts = [0, 0]

    def lock_both(number: int) -> list[tuple[int]]:
        def work(session: Session) -> list[tuple[int]]:
            attempts[number] += 1
            first = session.fetch_all(LOCK, {"x": number})
            if attempts[number] == 1:
                both_hold_one.wait(60)
            return first + session.fetch_all(LOCK, {"x": 1 - number})

        return database.run(work)

    assert at_once(lock_both, threads=2) == [[(0,), (1,)], [(1,), (0,)]]
    assert sorted(attempts) == [1, 2]


def test_who_waits_for_a_lock_too_long_is_told_to_come_again(database: Database, other: psycopg.Connection) -> None:
    with database.write() as session:
        session.fetch_all(INSERT, {"x": 1})
    attempts = []

    def work(session: Session) -> None:
        attempts.append(session.fetch_all("SET LOCAL lock_timeout = '50ms'", {}))
        session.fetch_all(LOCK, {"x": 1})

    with other.transaction():
        other.execute("SELECT x FROM shop.t FOR UPDATE")
        with pytest.raises(Unavailable) as raised:
            database.run(work)
    assert raised.value.retry_after_s == 1
    assert len(attempts) == 5
    database.run(work)


def test_a_block_that_met_a_lock_is_told_to_come_again(database: Database, other: psycopg.Connection) -> None:
    with other.transaction():
        other.execute("LOCK TABLE shop.t")
        with pytest.raises(Unavailable), database.write() as session:
            session.fetch_all("SET LOCAL lock_timeout = '50ms'", {})
            session.fetch_all(COUNT, {})
    database.require_writable()


def test_a_mistake_is_raised_and_never_tried_again(
    database: Database, other: psycopg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    attempts = []

    def work(session: Session) -> None:
        attempts.append(session.fetch_all(INSERT, {"x": 1}))
        session.fetch_all(INSERT, {"x": 1})

    with pytest.raises(UniqueViolation):
        database.run(work)
    assert len(attempts) == 1
    assert rows(other) == []
    assert caplog.messages == []


def test_a_table_that_a_migration_has_changed_is_read_again(database: Database, other: psycopg.Connection) -> None:
    """The server has planned the statement for the old table."""
    select = "SELECT * FROM t"
    for _ in range(2):
        assert database.run(lambda session: session.fetch_all(select, {})) == []
    other.execute("ALTER TABLE shop.t ADD y text")
    other.execute("INSERT INTO shop.t VALUES (1, 'new')")
    assert database.run(lambda session: session.fetch_all(select, {})) == [(1, "new")]


def test_a_lost_connection_is_logged_once_and_replaced(
    database: Database, other: psycopg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(Unavailable) as raised, database.write() as session:
        session.fetch_all(INSERT, {"x": 1})
        end_others(other)
        session.fetch_all(INSERT, {"x": 2})
    assert raised.value.message == "the store cannot reach its data, try again"
    assert raised.value.retry_after_s == 1
    assert caplog.messages == [f"{database.name}: terminating connection due to administrator command"]
    database.require_writable()
    assert caplog.messages[1:] == [f"{database.name}: can be written again"]
    assert rows(other) == []


def test_connections_that_the_server_closed_meanwhile_are_replaced_unseen(
    database: Database, other: psycopg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    at_once(lambda _: database.require_writable(), threads=4)
    end_others(other)
    at_once(lambda _: database.require_writable(), threads=4)
    assert caplog.messages == []


def end_others(other: psycopg.Connection) -> None:
    """Ends all other connections to the database, as an administrator does."""
    others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    other.execute(f"SELECT pg_terminate_backend(pid, 60000) {others}".encode())


def test_a_server_that_became_read_only_is_left(database: Database, other: psycopg.Connection) -> None:
    database.require_writable()
    [before] = backends(other)
    with pytest.raises(Unavailable), database.write() as session:
        session.fetch_all("SET TRANSACTION READ ONLY", {})
        session.fetch_all(INSERT, {"x": 1})
    database.require_writable()
    [after] = backends(other)
    assert before != after


def test_what_was_answered_is_stored_once_while_connections_break_everywhere(
    database: Database, other: psycopg.Connection
) -> None:
    are_done = threading.Event()

    def end_connections() -> None:
        while not are_done.wait(0.02):
            end_others(other)

    def insert(number: int) -> list[list[tuple[object, ...]]]:
        def work(session: Session) -> list[list[tuple[object, ...]]]:
            session.fetch_all(COUNT, {})
            return session.commit_with(("INSERT INTO t VALUES (:x) ON CONFLICT DO NOTHING", {"x": number}))

        while True:
            try:
                return database.run(work)
            except Unavailable:
                time.sleep(0.005)

    thread = threading.Thread(target=end_connections)
    thread.start()
    try:
        at_once(lambda number: [insert(10 * number + step) for step in range(10)])
    finally:
        are_done.set()
        thread.join()
    assert rows(other) == [(x,) for x in range(80)]


def backends(other: psycopg.Connection) -> list[tuple[object, ...]]:
    """Returns the processes of the store's connections."""
    mine = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'toystore'"
    return other.execute(mine).fetchall()


def test_a_frozen_server_hangs_nobody(hasty: Database, other: psycopg.Connection) -> None:
    with pytest.raises(Unavailable), hasty.write() as session:
        session.fetch_all("SELECT pg_sleep(600)", {})
    hasty.require_writable()


def test_a_frozen_server_hangs_nobody_who_connects(database: Database, postgres_server: TestServer) -> None:
    """The kernel of its machine still takes the connection."""
    os.kill(postgres_server.embedded.postmaster_pid(), signal.SIGSTOP)
    try:
        with pytest.raises(Unavailable):
            database.require_writable()
    finally:
        os.kill(postgres_server.embedded.postmaster_pid(), signal.SIGCONT)
    database.require_writable()


def test_a_client_that_stands_still_in_the_middle_of_a_batch_frees_its_rows(
    database: Database, other: psycopg.Connection
) -> None:
    """As one does whose machine died: the server gets no word of it."""
    other.execute("SET lock_timeout = '60s'")
    with database.write() as session:
        session.fetch_all(INSERT, {"x": 1})
    with pytest.raises(Unavailable), database.write() as session:
        session.fetch_all(LOCK, {"x": 1})
        other.execute("SELECT x FROM shop.t FOR UPDATE")  # waits until the server has ended the transaction
        session.fetch_all(COUNT, {})


def test_a_process_has_a_budget_of_connections(database: Database, other: psycopg.Connection) -> None:
    most = []

    def work(_: int) -> None:
        for _ in range(5):
            database.run(lambda session: session.fetch_all("SELECT pg_sleep(0.01)", {}))
        most.append(len(backends(other)))

    at_once(work, threads=2 * MAX_CONNECTIONS)
    assert max(most) == MAX_CONNECTIONS


def test_who_finds_no_free_connection_is_told_to_come_again(database: Database) -> None:
    small = Database(database.address, "shop", max_connections=1)
    with small.read() as session:
        session.fetch_all(COUNT, {})
        with pytest.raises(Unavailable):
            small.require_writable()
    small.close()


@pytest.fixture
def limited(database: Database, other: psycopg.Connection) -> Iterator[Database]:
    """The database for a role that may have one connection."""
    other.execute("CREATE ROLE limited LOGIN PASSWORD 'secret' CONNECTION LIMIT 1")
    other.execute("GRANT USAGE ON SCHEMA shop TO limited")
    host = database.address.rpartition("@")[2]
    limited = Database(f"postgresql://limited:secret@{host}", "shop")
    yield limited
    limited.close()
    wait_until(
        "no connection",
        lambda: not other.execute("SELECT 1 FROM pg_stat_activity WHERE usename = 'limited'").fetchall(),
    )
    other.execute("DROP OWNED BY limited")
    other.execute("DROP ROLE limited")


def test_a_server_that_takes_no_more_connections_is_no_storm(
    limited: Database, caplog: pytest.LogCaptureFixture
) -> None:
    with limited.read() as session:
        session.fetch_all("SELECT 1", {})
        with pytest.raises(Unavailable), limited.read() as another:
            another.fetch_all("SELECT 1", {})
    assert "raise its max_connections, or run fewer processes of the tiers" in caplog.messages[0]


def test_a_role_without_privileges_is_told_in_the_log(limited: Database, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(Unavailable), limited.read() as session:
        session.fetch_all(COUNT, {})
    assert "permission denied for table t" in caplog.messages[0]
    limited.require_writable()  # the message of each transaction needs no privilege


def test_a_server_that_is_away_is_tried_seldom(database: Database, postgres_server: TestServer) -> None:
    """Each call fails at once, and few of them try to connect."""
    away = Database(database.address.replace(f":{postgres_server.embedded.port}/", ":1/"), "shop")
    connects = count_connects(away)
    began = time.monotonic()
    calls = 0
    while time.monotonic() < began + 1:
        with pytest.raises(Unavailable):
            away.require_writable()
        calls += 1
    assert calls > 5 * len(connects)


def count_connects(database: Database) -> list[float]:
    """Returns a list that gets the time of each attempt to connect."""
    times: list[float] = []
    connect = database._connect

    def counted() -> object:
        times.append(time.monotonic())
        return connect()

    database._pool._connect = counted  # type: ignore[assignment]
    return times


def test_a_role_that_does_not_wait_for_the_disk_is_refused(
    database: Database, other: psycopg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    """Checked for each new connection: the setting may come while the store runs."""
    other.execute(f"ALTER DATABASE {database.address.rpartition('/')[2]} SET synchronous_commit = off".encode())
    with pytest.raises(Unavailable):
        database.require_writable()
    assert "synchronous_commit is off for this role and database" in caplog.messages[0]
