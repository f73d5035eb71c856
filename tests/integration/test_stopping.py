"""A tier stops soon, whatever its connections wait for. Workers of a killed master process free the port at once."""

import os
import signal
import socket
import threading
import time
from pathlib import Path

from tests.support.patched_constants import gunicorn_files
from tests.support.raw_http import connect, read_replies
from tests.support.tiers import Tiers
from tests.support.waiting import wait_until
from tests.support.write_lock import wait_until_a_buy_waits_for_the_lock, write_lock

GET = b"GET /products/Tux HTTP/1.1\r\nHost: a\r\n\r\n"
BUY = b"POST /Tux/1 HTTP/1.1\r\nHost: a\r\n\r\n"
# The grace is far longer than a stop may take, even on a busy machine.
LONG_GRACE = {"GUNICORN_CMD_ARGS": "--graceful-timeout 300"}
MAX_STOP_S = 45.0


def test_an_idle_connection_does_not_delay_a_stopping_tier(tmp_path: Path) -> None:
    tiers = Tiers(tmp_path / "data", **LONG_GRACE)
    try:
        tiers.start("catalog")
        with connect(tiers) as connection:
            connection.sendall(GET)
            assert read_replies(connection, 1)[0][0] == 200
            start = time.monotonic()
            tiers.stop("catalog")
            assert time.monotonic() - start < MAX_STOP_S, "it has waited for the grace or for the keep-alive timeout"
            assert connection.recv(1) == b""
    finally:
        tiers.stop()


def test_a_stopping_tier_answers_its_last_request_and_ends(tmp_path: Path) -> None:
    files = gunicorn_files(tmp_path, db__sqlite__database__BUSY_TIMEOUT_MS=600_000)
    tiers = Tiers(tmp_path / "data", files, **LONG_GRACE)
    try:
        tiers.start("catalog")
        with connect(tiers) as connection, write_lock(tmp_path / "data" / "catalog.db") as release:
            connection.sendall(BUY)
            wait_until_a_buy_waits_for_the_lock(tiers)
            stopping = threading.Thread(target=tiers.stop, args=("catalog",))
            start = time.monotonic()
            stopping.start()
            time.sleep(0.2)
            release()
            assert read_replies(connection, 1)[0][0] == 200
            stopping.join()
            assert time.monotonic() - start < MAX_STOP_S
    finally:
        tiers.stop()


def is_free(port: int) -> bool:
    """Returns whether another process can listen on the port."""
    try:
        with socket.create_server(("127.0.0.1", port)):
            return True
    except OSError:
        return False


def test_an_orphan_with_a_request_under_way_frees_the_port_at_once(tmp_path: Path) -> None:
    """Its request may take ten minutes, and so may the grace of gunicorn."""
    files = gunicorn_files(tmp_path, db__sqlite__database__BUSY_TIMEOUT_MS=600_000)
    tiers = Tiers(tmp_path / "data", files, GUNICORN_CMD_ARGS="--graceful-timeout 600")
    try:
        tiers.start("catalog")
        with connect(tiers) as shopper, write_lock(tiers.data_dir / "catalog.db"):
            shopper.sendall(BUY)
            wait_until_a_buy_waits_for_the_lock(tiers)
            os.kill(tiers.master("catalog"), signal.SIGKILL)
            wait_until("the port is free", lambda: is_free(tiers.ports["catalog"]))
    finally:
        tiers.stop()
