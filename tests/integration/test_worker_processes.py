"""The worker processes of a tier share its connections and the cores; the system may refuse them optional calls."""

import os
import signal
import socket
from contextlib import ExitStack, suppress
from pathlib import Path

import requests

from tests.support.patched_constants import gunicorn_files
from tests.support.tiers import Tiers, open_files
from tests.support.waiting import wait_until


def open_sockets(pid: int) -> int:
    """Returns how many sockets a process has open."""
    return sum(name.startswith("socket:") for name in open_files(pid))


def accepted_by_each_worker(tiers: Tiers, connections: int) -> list[int]:
    """Opens connections to the front end and closes them. Returns how many each worker has accepted."""
    before = {worker: open_sockets(worker) for worker in tiers.workers("front_end")}
    with ExitStack() as ending:
        shoppers = [
            ending.enter_context(socket.create_connection(("127.0.0.1", tiers.ports["front_end"])))
            for _ in range(connections)
        ]
        for shopper in shoppers:
            shopper.sendall(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
        for shopper in shoppers:
            assert shopper.recv(1000).startswith(b"HTTP/1.1 200")
        accepted = sorted(open_sockets(worker) - sockets for worker, sockets in before.items())
    wait_until(
        "all connections are closed",
        lambda: all(open_sockets(worker) <= sockets for worker, sockets in before.items()),
    )
    return accepted


def test_the_workers_of_a_tier_share_its_connections_evenly(tmp_path: Path) -> None:
    """Each leaves a new connection to one with fewer. The back-off is ten minutes here, as a worker may be late."""
    tiers = Tiers(
        tmp_path / "data", gunicorn_files(tmp_path, server__scoreboard__ACCEPT_BACKOFF_S=600.0), FRONT_WORKERS="2"
    )
    try:
        tiers.start("front_end")
        # The tier answers before its second worker has started.
        wait_until("both workers take connections", lambda: accepted_by_each_worker(tiers, 4) == [2, 2])
        for _ in range(5):
            assert accepted_by_each_worker(tiers, 32) == [16, 16]
    finally:
        tiers.stop()


def test_a_new_worker_is_pinned_to_the_core_of_the_crashed_one(tmp_path: Path) -> None:
    tiers = Tiers(tmp_path / "data", FRONT_WORKERS="2")
    cores = os.sched_getaffinity(0)

    def share_the_cores() -> bool:
        with suppress(ProcessLookupError):
            pinned = [os.sched_getaffinity(worker) for worker in tiers.workers("front_end")]
            return len(pinned) == 2 and len(set.union(*pinned)) == min(2, len(cores)) == sum(map(len, pinned))
        return False

    try:
        tiers.start("front_end")
        for victim in (0, 1, 1, 0):
            wait_until("each worker has a core of its own", share_the_cores)
            worker = tiers.workers("front_end")[victim]
            os.kill(worker, signal.SIGKILL)
            wait_until("the worker is replaced", lambda: worker not in tiers.workers("front_end"))  # noqa: B023
        wait_until("each worker has a core of its own", share_the_cores)
    finally:
        tiers.stop()


# Settings of the front end, after the calls that a container may refuse are replaced.
REFUSING = """
import os, resource

def refuse(*_):
    raise PermissionError(1, "Operation not permitted")

os.sched_setaffinity = resource.setrlimit = refuse
resource.getrlimit = lambda _: (256, 4096)
from conf.front_end import *
"""


def test_a_tier_starts_where_the_system_refuses_optional_calls(tmp_path: Path) -> None:
    """Some containers refuse by seccomp to pin a process to a core and to raise the limit of open files."""
    (tmp_path / "refusing.py").write_text(REFUSING)
    tiers = Tiers(tmp_path / "data", {"front_end": str(tmp_path / "refusing.py")})
    try:
        tiers.start("front_end")
        wait_until("both workers have started", lambda: len(tiers.workers("front_end")) == 2)
        assert requests.get(tiers.url("front_end") + "/health", timeout=10).status_code == 200
        assert tiers.log.read_text().splitlines() == [f"front_end serves {tiers.url('front_end')}"]
    finally:
        tiers.stop()
