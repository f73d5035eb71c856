"""Tests of how connections to PostgreSQL are set up, and of how long they wait."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg
import pytest

from db.postgres.connection import Connection, NoAnswer, connect, describe
from tests.support.postgres import TestServer
from tests.support.waiting import wait_until
from tests.unit.db.postgres.conftest import WAIT_TIMEOUT_S


@pytest.fixture
def connection(postgres_address: str) -> Iterator[Connection]:
    with closing(connect(postgres_address, "shop", wait_timeout_s=WAIT_TIMEOUT_S)) as connection:
        yield connection


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Stops a process of the server for the block."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("jit", "off"),
        ("search_path", "shop"),
        ("lock_timeout", "3s"),
        ("idle_in_transaction_session_timeout", "3s"),
        ("client_connection_check_interval", "1s"),
        ("statement_timeout", "0"),
        ("application_name", "toystore"),
    ],
)
def test_each_session_has_its_settings_whatever_the_database_says(
    postgres_address: str, name: str, value: str, postgres_server: TestServer
) -> None:
    database = postgres_address.rpartition("/")[2]
    for setting, other in (
        ("jit", "on"),
        ("lock_timeout", "0"),
        ("statement_timeout", "1h"),
        ("search_path", "public"),
    ):
        postgres_server.execute(f"ALTER DATABASE {database} SET {setting} = '{other}'")
    with closing(connect(postgres_address, "shop")) as connection:
        assert connection.execute("SELECT current_setting(%s)", (name,)).fetchall() == [(value,)]


def test_expensive_plans_are_not_compiled(connection: Connection) -> None:
    """A planner that exaggerates costs would have each statement compiled, which takes a multiple of its run."""
    connection.execute("SET enable_seqscan = off")
    connection.execute("CREATE TABLE public.t (x integer)")
    plan = connection.execute("EXPLAIN ANALYZE SELECT sum(x) FROM public.t").fetchall()
    assert not [line for (line,) in plan if "JIT" in line]


def test_the_lock_timeout_is_well_above_the_deadlock_timeout(connection: Connection) -> None:
    """Otherwise each deadlock would be reported as a lock that is held for long."""
    [(lock, deadlock)] = connection.execute(
        "SELECT current_setting('lock_timeout')::interval, current_setting('deadlock_timeout')::interval"
    ).fetchall()
    assert lock >= 2 * deadlock


def test_waits_no_longer_than_it_must_for_a_frozen_server(connection: Connection) -> None:
    with (
        stopped(connection.info.backend_pid),
        pytest.raises(NoAnswer, match=f"has not answered within {WAIT_TIMEOUT_S:g} s"),
    ):
        connection.execute("SELECT 1")
    assert connection.closed


def test_the_server_ends_a_statement_whose_client_gave_up(connection: Connection, postgres_address: str) -> None:
    with pytest.raises(NoAnswer):
        connection.execute("SELECT pg_sleep(600)")
    with psycopg.connect(postgres_address, autocommit=True) as other:
        sleeping = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
        wait_until("the statement ends", lambda: not other.execute(sleeping).fetchall())


def test_a_signal_in_the_middle_of_a_wait_closes_the_connection(connection: Connection) -> None:
    """The late answer would be taken for the one to the next statement."""
    timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        timer.start()
        connection.execute("SELECT pg_sleep(600)")
    timer.join()
    assert connection.closed


def test_notes_warnings_and_no_notices(connection: Connection) -> None:
    connection.execute("DO $$ BEGIN RAISE NOTICE 'a notice'; RAISE WARNING 'a warning'; END $$", prepare=False)
    assert connection.warnings == ["a warning"]


def test_of_several_hosts_takes_the_one_that_can_be_written(postgres_address: str, postgres_server: TestServer) -> None:
    database = postgres_address.rpartition("/")[2]
    both = postgres_address.replace("@", "@127.0.0.1:1,")
    connect(both, "shop").close()
    postgres_server.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    with pytest.raises(psycopg.OperationalError, match="read-only"):
        connect(both, "shop")
    connect(f"{both}?target_session_attrs=any", "shop").close()


def test_integers_of_all_sizes_share_a_prepared_statement(connection: Connection) -> None:
    for number in (1, 2**20, 2**40):
        connection.execute("SELECT %s + 1", (number,))
    [(count,)] = connection.execute("SELECT count(*) FROM pg_prepared_statements", prepare=False).fetchall()
    assert count == 1


def test_the_description_of_an_address_has_no_password() -> None:
    assert describe("postgresql://me:secret@a:1,b:2/toys?sslmode=require") == "postgresql://a:1,b:2/toys"
    assert describe("postgresql://a,b/toys") == "postgresql://a:5432,b:5432/toys"
    assert describe("postgresql:///toys") == "postgresql://localhost:5432/toys"


def test_texts_are_unicode_whatever_the_address_says(postgres_address: str) -> None:
    with closing(connect(f"{postgres_address}?client_encoding=LATIN1", "public")) as connection:
        assert connection.execute("SELECT length(%s), 'Ü🦆'", ("Ü🦆",)).fetchall() == [(2, "Ü🦆")]
        assert connection.execute("SELECT length((%s::text[])[1])", (["Ü🦆"],)).fetchall() == [(2,)]
