"""Tests of the pool of connections: who gets one, and who fails at once while the server is away."""

import gc
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from db.postgres import pool as pool_module
from db.postgres.connection import Connection, connect
from db.postgres.pool import Away, Pool
from tests.support.at_once import at_once
from tests.support.waiting import wait_until


class Server:
    """Opens connections, or fails, and counts both."""

    def __init__(self, address: str) -> None:
        self._address = address
        self.is_away = False
        self.opened = 0

    def connect(self) -> Connection:
        self.opened += 1
        if self.is_away:
            raise ConnectionError
        return connect(self._address, "public")


@pytest.fixture
def server(postgres_address: str) -> Server:
    return Server(postgres_address)


@pytest.fixture
def pool(server: Server) -> Iterator[Pool]:
    pool = Pool(server.connect, max_connections=4, timeout_s=60)
    yield pool
    pool.close()


def fail(pool: Pool) -> None:
    """Uses a connection that the server then spoils, or none if the server is away already."""
    try:
        with pool.connection() as connection:
            connection.fail()
    except ConnectionError:
        pass


def test_opens_nothing_until_it_is_used(server: Server, pool: Pool) -> None:
    assert server.opened == 0
    for _ in range(3):
        with pool.connection():
            pass
    assert server.opened == 1


def test_threads_have_connections_of_their_own(pool: Pool) -> None:
    all_have_one = threading.Barrier(4)

    def pid(_: int) -> int:
        with pool.connection() as connection:
            all_have_one.wait(60)
            return connection.info.backend_pid

    assert len(set(at_once(pid, threads=4))) == 4


def test_a_connection_in_a_transaction_is_not_kept(server: Server, pool: Pool) -> None:
    with pool.connection() as connection:
        connection.execute("BEGIN")
    assert connection.closed
    with pool.connection():
        assert server.opened == 2


def test_one_failure_spoils_the_idle_connections_and_stops_nobody(server: Server, pool: Pool) -> None:
    with pool.connection(), pool.connection():
        pass
    fail(pool)
    with pool.connection():
        assert server.opened == 3


def test_after_two_failures_one_thread_at_a_time_tries_the_server(
    server: Server, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "MAX_PAUSE_S", 0.0)
    server.is_away = True
    fail(pool)
    fail(pool)
    server.is_away = False
    with pool.connection(), pytest.raises(Away), pool.connection():
        pass
    with pool.connection(), pool.connection():  # the server is back for all
        pass


def test_a_server_that_is_away_is_not_tried_at_once_again(
    server: Server, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "MAX_PAUSE_S", 3600.0)
    monkeypatch.setattr(pool_module, "_FIRST_PAUSE_S", 3600.0)
    server.is_away = True
    fail(pool)
    fail(pool)
    for _ in range(100):
        with pytest.raises(Away), pool.connection():
            pass
    assert server.opened == 2


def test_the_pause_is_short(server: Server, pool: Pool) -> None:
    server.is_away = True
    for _ in range(100):
        with pytest.raises((Away, ConnectionError)), pool.connection():
            pass
    server.is_away = False

    def is_back() -> bool:
        try:
            with pool.connection():
                return True
        except Away:
            return False

    wait_until("the server is back", is_back)


def test_all_connections_can_be_had_again_after_failures(server: Server, pool: Pool) -> None:
    server.is_away = True
    for _ in range(20):
        with pytest.raises((Away, ConnectionError)), pool.connection():
            pass
    assert pool._free._value == 4


FORK = """
import os, sys
from db.postgres.database import Database

database = Database(sys.argv[1], "public")
def backend():
    with database.read() as session:
        return session.fetch_all("SELECT pg_backend_pid()", {})
before = backend()
child = os.fork()
if child == 0:
    os._exit(0 if backend() != before else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, "the child used its parent's connection"
assert backend() == before, "the child closed its parent's connection"
database.close()
"""


def test_a_forked_process_opens_connections_of_its_own(postgres_address: str) -> None:
    subprocess.run([sys.executable, "-W", "error", "-c", FORK, postgres_address], check=True)


def test_a_pool_that_nobody_uses_any_more_leaves_no_connection_open(server: Server) -> None:
    pool = Pool(server.connect, max_connections=4, timeout_s=1.0)
    with pool.connection() as kept:
        pass
    assert not kept.closed
    del pool
    gc.collect()
    assert kept.closed
