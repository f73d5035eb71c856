"""Workers whose master was killed: the port must be free for its successor, whatever they still have in their hands."""

import os
import signal
import socket
from pathlib import Path

from tests.integration.test_worker import connect, sqlite_lock, wait_until_it_waits_for_the_lock
from tests.support.constants import gunicorn_files
from tests.support.tiers import Tiers
from tests.support.waiting import wait_until


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
        with connect(tiers) as shopper, sqlite_lock(tiers.data_dir / "catalog.db"):
            shopper.sendall(b"POST /Tux/1 HTTP/1.1\r\nHost: a\r\n\r\n")
            wait_until_it_waits_for_the_lock(tiers)
            os.kill(tiers.master("catalog"), signal.SIGKILL)
            wait_until("the port is free", lambda: is_free(tiers.ports["catalog"]))
    finally:
        tiers.stop()
