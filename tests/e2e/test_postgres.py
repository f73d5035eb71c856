"""The tiers on a PostgreSQL that is frozen, that cuts its connections, and that is not there at the start."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import requests

from tests.support.postgres import TestServer
from tests.support.shoppers import Shoppers, session
from tests.support.tiers import ROOT, Tiers, children, free_port, running
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def server() -> Iterator[TestServer]:
    """A server of this file alone, for a test freezes it."""
    server = TestServer()
    yield server
    server.stop()


@pytest.fixture
def address(server: TestServer) -> Iterator[str]:
    """The address of an empty database."""
    with server.database() as address:
        yield address


def test_a_frozen_server_hangs_nobody(tmp_path: Path, server: TestServer, address: str) -> None:
    """Its sockets stay open and are silent. All tiers answer that they live, and that they are not ready."""
    postmaster = server.embedded.postmaster_pid()
    with running(tmp_path / "data", CATALOG_DATABASE=address, ORDER_DATABASE=address) as tiers, session() as shop:
        front_end, headers = tiers.url("front_end"), {"Idempotency-Key": "k"}
        assert shop.post(f"{front_end}/Tux/1", timeout=10).status_code == 200
        frozen = [*children(postmaster), postmaster]
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        try:
            asked = [
                subprocess.Popen(
                    [sys.executable, "-c", f"import requests; requests.get({url!r}, timeout=60)"], cwd=ROOT
                )
                for url in (f"{tiers.url('catalog')}/products/Tux", f"{tiers.url('order')}/orders/0")
                for _ in range(4)
            ]
            for name in tiers.ports:
                assert shop.get(f"{tiers.url(name)}/health", timeout=10).status_code == 200
                assert shop.get(f"{tiers.url(name)}/ready", timeout=10).status_code == 503
            for method, path in (("GET", "/products/Tux"), ("POST", "/Tux/1"), ("GET", "/orders/0")):
                response = shop.request(method, front_end + path, headers=headers, timeout=30)
                assert (response.status_code, "Retry-After" in response.headers) == (503, True)
            for process in asked:
                assert process.wait(timeout=60) == 0, "a read of the tier itself is answered, too"
        finally:
            for pid in frozen:
                os.kill(pid, signal.SIGCONT)

        def is_bought() -> bool:
            response = shop.post(f"{front_end}/Tux/1", headers=headers, timeout=30)
            return response.status_code == 200 and response.json() == {"data": {"order_number": "1"}}

        wait_until("the buy in doubt is answered", is_bought, every_s=0.2, details=tiers.log.read_text)


def test_a_start_before_its_database_ends_with_a_line_and_a_later_one_serves(tmp_path: Path, address: str) -> None:
    """Exit code 1: supervisord then tries again."""
    tiers = Tiers(tmp_path / "data", CATALOG_DATABASE=f"postgresql://user:hunter2@127.0.0.1:{free_port()}/store")
    command = [sys.executable, "-m", "gunicorn", "-c", "conf/catalog.py"]
    done = subprocess.run(command, cwd=ROOT, env=tiers.environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    [line] = [line for line in done.stderr.splitlines() if line.startswith("toy store: ")]
    assert line.startswith("toy store: catalog: postgresql://127.0.0.1:") and "hunter2" not in done.stderr
    tiers.environment["CATALOG_DATABASE"] = address
    tiers.start("catalog")
    try:
        assert requests.get(f"{tiers.url('catalog')}/products/Tux", timeout=10).status_code == 200
        assert len(tiers.workers("catalog")) == 2
    finally:
        tiers.stop()


def test_connections_that_the_server_cuts_only_delay_buys(tmp_path: Path, server: TestServer, address: str) -> None:
    """As by a restart or a failover: they are replaced, and a buy is repeated under its key."""
    with running(tmp_path / "data", CATALOG_DATABASE=address, ORDER_DATABASE=address) as tiers:
        shoppers = Shoppers(tiers.url("front_end"), deadline_s=60.0)
        stop_at = time.monotonic() + 1.0

        def cut() -> None:
            while time.monotonic() < stop_at:
                server.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'toystore'"
                )
                time.sleep(0.1)

        shoppers.share([(f"key-{number}", "Whale", 1) for number in range(80)], 4, meanwhile=cut)
        with psycopg.connect(address) as connection:
            orders = connection.execute("SELECT number, key FROM log.orders ORDER BY number").fetchall()
    assert [number for number, _ in orders] == list(range(80))
    assert {key for _, key in orders} == shoppers.answered
