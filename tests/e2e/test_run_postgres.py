"""python -m conf.run --postgres, the program behind `make run-postgres`."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import requests

from tests.support.supervised_store import SupervisedStore
from tests.support.tiers import ROOT
from tests.support.waiting import wait_until


class StoreWithPostgres(SupervisedStore):
    """One `make run-postgres` on free ports."""

    arguments = ("--postgres",)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that all users can reach, as the server needs it where the tests run as root."""
    with tempfile.TemporaryDirectory(prefix="toystore-run-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


def buy(store: SupervisedStore, key: str) -> object:
    """Returns the answer to a buy."""
    headers = {"Idempotency-Key": key}
    return requests.post(store.url("front_end") + "/Tux/1", headers=headers, timeout=30).json()


def test_it_comes_up_sells_and_keeps_the_orders_of_the_run_before(folder: Path) -> None:
    for number in range(2):
        with StoreWithPostgres(folder / "data") as store:
            assert buy(store, "first") == {"data": {"order_number": "0"}}
            assert buy(store, f"run-{number}") == {"data": {"order_number": str(number + 1)}}
            banner = store.output()
            assert re.search(r"state +postgresql://127\.0\.0\.1:\d+/postgres ", banner), banner
            assert f'psql "$(cat {folder}/data/postgres-address)"' in banner
            address = (folder / "data" / "postgres-address").read_text().strip()
            assert address not in banner, "it has a password"
            with psycopg.connect(address) as connection:
                [(orders,)] = connection.execute("SELECT count(*) FROM log.order_log").fetchall()
            assert orders == number + 2
            assert count_orders_by_admin(banner) == number + 2
            assert len(store.workers("catalog")) == len(store.workers("order")) == 2
            pids = store.processes()
            assert store.end(signal.SIGINT) == 0
            wait_until("all processes are gone", lambda pids=pids: not any(map(is_alive, pids)))  # type: ignore[misc]
    assert not (folder / "data" / "catalog.db").exists()
    for name in ("postgres-address", "owner-secret"):
        assert (folder / "data" / name).stat().st_mode & 0o077 == 0


def count_orders_by_admin(banner: str) -> object:
    """Returns the number of orders that `python -m admin status` tells, led by the banner alone."""
    line = re.search("^For python -m admin: (export .*)$", banner, re.MULTILINE)
    assert line is not None, banner
    done = subprocess.run(
        f"{line[1]}; {sys.executable} -m admin status --json",
        shell=True,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["orders"]


def is_alive(pid: int) -> bool:
    """Whether this process exists."""
    return Path(f"/proc/{pid}").exists()


def test_a_kill_of_the_run_ends_its_server(folder: Path) -> None:
    with StoreWithPostgres(folder / "data") as store:
        server = int((folder / "data" / "postgres" / "data" / "postmaster.pid").read_text().split()[0])
        store.process.kill()
        store.process.wait(timeout=60)
        wait_until("the server has ended", lambda: not is_alive(server))


def test_the_front_end_does_not_know_the_databases(folder: Path) -> None:
    """Strangers reach it. What it does not know it cannot tell."""
    with StoreWithPostgres(folder / "data") as store:
        for name, knows in (("front_end", False), ("back_office", False), ("order", True), ("catalog", True)):
            environment = Path(f"/proc/{store.workers(name)[0]}/environ").read_bytes()
            assert (b"_DATABASE" in environment) is knows, name


def test_it_refuses_the_database_of_another_server(folder: Path) -> None:
    store = StoreWithPostgres(folder / "data", ORDER_DATABASE="postgresql://user:hunter2@host/store")
    done = subprocess.run(
        [sys.executable, "-m", "conf.run", "--postgres"],
        cwd=ROOT,
        env=store.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith("unset CATALOG_DATABASE and ORDER_DATABASE\n")
    assert "hunter2" not in done.stderr
    assert not (folder / "data").exists()
