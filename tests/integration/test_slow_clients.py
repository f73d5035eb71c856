"""Slow and silent clients do not delay the others, and make room for them when a worker is full."""

import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import requests

from tests.support.books import Books
from tests.support.patched_constants import gunicorn_files
from tests.support.raw_http import connect
from tests.support.shoppers import Shoppers
from tests.support.tiers import NAMES, ROOT, Tiers, clean_environment, products_file, running
from tests.support.write_lock import write_lock

SLOW = 200  # clients at each tier
SILENT = 1_200  # clients: more than the 1,000 connections of a worker
GET = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"
# The usual soft limit of open files, hardly more than the connections of a worker.
USUAL_FILES = 1_024


@contextmanager
def open_files(limit: int) -> Iterator[None]:
    """Lets this process, and those that it starts in the block, open `limit` files."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def buy(tiers: Tiers, name: str) -> None:
    """Makes 200 buys by 4 shoppers. Each must be answered in time."""
    shoppers = Shoppers(tiers.url("front_end"), deadline_s=60.0)
    shoppers.share([(f"{name}-{number}", "Tux", 1) for number in range(200)], 4, meanwhile=lambda: None)
    assert (shoppers.statuses, shoppers.resets) == ({200}, 0)


def test_200_slow_clients_at_each_tier_delay_no_shopper(tmp_path: Path) -> None:
    """Each slow client has ten minutes, so a shopper who waited for one would be late."""
    files = gunicorn_files(tmp_path, server__worker__REQUEST_TIMEOUT_S=600.0)
    products = products_file(tmp_path, "Tux 1.50 1000")
    with running(tmp_path / "data", files, PRODUCTS=products) as tiers, ExitStack() as ending:
        buy(tiers, "alone")
        slow = [ending.enter_context(connect(tiers, tier)) for tier in NAMES for _ in range(SLOW)]
        for number, connection in enumerate(slow):
            # half a head, half a body, or nothing
            connection.sendall(
                [GET[:20], b"POST /Tux/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc", b""][number % 3]
            )
        buy(tiers, "beside")
        books = Books.read(tiers.data_dir)
    books.check()
    assert books.products == {"Tux": 600}, "half a request has bought something"


def is_closed(connection: socket.socket) -> bool:
    """Returns whether the tier has closed this connection. It has no reply under way."""
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


@pytest.fixture(scope="module")
def tiers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tiers]:
    """A store with one front-end worker, started under a low limit of open files.

    Each client has ten minutes, so no connection is closed for its timeout.
    """
    folder = tmp_path_factory.mktemp("silent")
    with open_files(USUAL_FILES):
        tiers = Tiers(
            folder / "data",
            gunicorn_files(folder, server__worker__REQUEST_TIMEOUT_S=600.0),
            FRONT_WORKERS="1",
            GUNICORN_CMD_ARGS="--keep-alive 600",
        )
        try:
            tiers.start()
            yield tiers
        finally:
            tiers.stop()


@pytest.mark.parametrize("tier", NAMES)
def test_silent_connections_are_evicted_for_clients_with_requests(tiers: Tiers, tier: str) -> None:
    path = "/orders/0" if tier == "order" else "/products/Tux"
    with open_files(SILENT + USUAL_FILES), ExitStack() as ending:
        silent = []
        for number in range(SILENT):
            silent.append(ending.enter_context(connect(tiers, tier)))
            if number % 2:  # every other connection is idle after a response
                silent[-1].sendall(GET)
                assert silent[-1].recv(1000).startswith(b"HTTP/1.1 200")
        for _ in range(5):
            assert requests.get(tiers.url(tier) + path, timeout=60).status_code in (200, 404)
        closed = [is_closed(connection) for connection in silent]
        assert all(closed[:200]), "one of the connections with the longest silence is still open"
        assert not any(closed[-700:]), "a connection with a shorter silence is closed"


def test_a_connection_with_half_a_request_is_not_evicted(tiers: Tiers) -> None:
    with open_files(SILENT + USUAL_FILES), ExitStack() as ending:
        slow = ending.enter_context(connect(tiers, "front_end"))
        slow.sendall(GET[:-2])
        for _ in range(SILENT):
            last = ending.enter_context(connect(tiers, "front_end"))
        last.sendall(GET)
        assert last.recv(1000).startswith(b"HTTP/1.1 200"), "the worker has not accepted all connections"
        slow.sendall(GET[-2:])
        assert slow.recv(1000).startswith(b"HTTP/1.1 200")


BUY = b"POST /Tux/1 HTTP/1.1\r\nHost: a\r\n\r\n"


def test_connections_that_wait_for_the_app_are_not_evicted_and_new_ones_are_accepted(tmp_path: Path) -> None:
    """The worker accepts 20 connections, and 19 of them have a buy that waits for the write lock."""
    files = gunicorn_files(
        tmp_path, db__sqlite__database__BUSY_TIMEOUT_MS=600_000, server__worker__REQUEST_TIMEOUT_S=600.0
    )
    tiers = Tiers(tmp_path / "data", files, GUNICORN_CMD_ARGS="--worker-connections 20")
    try:
        tiers.start("catalog")
        with ExitStack() as ending, write_lock(tiers.data_dir / "catalog.db") as release:
            buyers = [ending.enter_context(connect(tiers, "catalog")) for _ in range(19)]
            for buyer in buyers:
                buyer.sendall(BUY)
            time.sleep(0.2)
            for _ in range(5):
                with connect(tiers, "catalog") as new:
                    new.sendall(GET)
                    assert new.recv(1000).startswith(b"HTTP/1.1 200")
            release()
            assert [buyer.recv(1000)[:12] for buyer in buyers] == [b"HTTP/1.1 200"] * 19
    finally:
        tiers.stop()


@pytest.mark.parametrize("files", [100, 24])
def test_a_worker_that_runs_out_of_files_serves_with_fewer_connections(tmp_path: Path, files: int) -> None:
    tiers = Tiers(tmp_path / "data", gunicorn_files(tmp_path, server__worker__REQUEST_TIMEOUT_S=600.0))
    try:
        tiers.start("catalog")
        url = tiers.url("catalog")
        assert requests.get(url + "/products/Tux", timeout=10).status_code == 200
        [worker] = tiers.workers("catalog")
        resource.prlimit(worker, resource.RLIMIT_NOFILE, (files, files))
        with ExitStack() as ending:
            for _ in range(150):
                ending.enter_context(connect(tiers, "catalog"))
            for _ in range(5):
                assert requests.get(url + "/products/Tux", timeout=60).status_code == 200
                assert requests.post(url + "/Tux/1", timeout=60).status_code == 200
        limits = [line for line in tiers.log.read_text().splitlines() if "connections from now on" in line]
        assert len(limits) == 1, limits
        assert "Too many open files" in limits[0]
        assert "Traceback" not in tiers.log.read_text()
    finally:
        tiers.stop()


@pytest.mark.parametrize(("soft", "allowed"), [(256, "1288"), (5_000, "5000")])
def test_a_tier_raises_its_limit_of_open_files_to_what_it_needs(soft: int, allowed: str) -> None:
    script = (
        "import resource as r; _, hard = r.getrlimit(r.RLIMIT_NOFILE); "
        f"r.setrlimit(r.RLIMIT_NOFILE, ({soft}, hard)); "
        "import conf.common; print(r.getrlimit(r.RLIMIT_NOFILE)[0])"
    )
    printed = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    ).stdout
    assert printed == f"{allowed}\n"
