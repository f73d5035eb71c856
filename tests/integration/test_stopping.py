"""A tier that stops, or whose master process was killed, ends soon whatever its connections wait for."""

import os
import signal
import socket
import threading
import time
from pathlib import Path

from tests.support.constants import gunicorn_files
from tests.support.raw_http import connect, read_replies
from tests.support.tiers import Tiers
from tests.support.waiting import wait_until
from tests.support.write_lock import wait_until_a_buy_waits_for_the_lock, write_lock

GET = b"GET /products/Tux HTTP/1.1\r\nHost: a\r\n\r\n"
BUY = b"POST /Tux/1 HTTP/1.1\r\nHost: a\r\n\r\n"
# Of a tier that is to be seen to stop sooner, whatever else the machine does.
LONG_GRACE = {"GUNICORN_CMD_ARGS": "--graceful-timeout 300"}
STOPS_WITHIN_S = 45.0


def test_an_idle_connection_does_not_keep_a_stopping_tier(tmp_path: Path) -> None:
    tiers = Tiers(tmp_path / "data", **LONG_GRACE)
    try:
        tiers.start("catalog")
        with connect(tiers) as connection:
            connection.sendall(GET)
            assert read_replies(connection, 1)[0][0] == 200
            begun = time.monotonic()
            tiers.stop("catalog")
            assert time.monotonic() - begun < STOPS_WITHIN_S, "less than gunicorn's own grace, and than the keep-alive"
            assert connection.recv(1) == b""
    finally:
        tiers.stop()


def test_a_request_under_way_does_not_keep_a_stopping_tier(tmp_path: Path) -> None:
    files = gunicorn_files(tmp_path, db__connection__BUSY_TIMEOUT_MS=600_000)
    tiers = Tiers(tmp_path / "data", files, **LONG_GRACE)
    try:
        tiers.start("catalog")
        with connect(tiers) as connection, write_lock(tmp_path / "data" / "catalog.db") as release:
            connection.sendall(BUY)
            wait_until_a_buy_waits_for_the_lock(tiers)
            stopping = threading.Thread(target=tiers.stop, args=("catalog",))
            begun = time.monotonic()
            stopping.start()
            time.sleep(0.2)
            release()
            assert read_replies(connection, 1)[0][0] == 200
            stopping.join()
            assert time.monotonic() - begun < STOPS_WITHIN_S
    finally:
        tiers.stop()


def is_free(port: int) -> bool:
    try:
        with socket.create_server(("127.0.0.1", port)):
            return True
    except OSError:
        return False


def test_an_orphan_with_a_request_in_its_hands_stops_listening_at_once(tmp_path: Path) -> None:
    """It has ten minutes for the request, and its master had as many for its end."""
    files = gunicorn_files(tmp_path, db__connection__BUSY_TIMEOUT_MS=600_000)
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
