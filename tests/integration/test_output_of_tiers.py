"""A tier serves with its output closed, full or unread, and strangers cannot fill its log."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import cycle, islice
from pathlib import Path

import pytest
import requests

from conf.addresses import Address
from conf.health import is_healthy
from tests.support.tiers import NAMES, ROOT, Tiers, children, open_files
from tests.support.waiting import wait_until

# Malformed requests of different kinds. Some try to add colours or lines to the log.
MALFORMED = (
    b"GET / HTTP/1.1\r\nHost: a\r\nX\x1b[31m " + b"y" * 7000 + b": z\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX\nINJECTED: y\r\n\r\n",
    b"GET / HTTP/1.1\rINJECTED\r\nHost: a\r\n\r\n",
    b"G\x1bT / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/9.\x07\r\nHost: a\r\n\r\n",
    "GET /\u2028INJECTED\u202e HTTP/1.1\r\nHost: a\r\n\r\n".encode(),
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
)
LOG_LINE = re.compile(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[^\]]*\] \[\d+\] \[[A-Z]+\] .*")


@contextmanager
def started(tier: str, tmp_path: Path, redirect: str = "", prefix: str = "", **settings: str) -> Iterator[Tiers]:
    """Runs one tier under a shell. Output that the shell does not redirect goes to a pipe that is not read."""
    tiers = Tiers(tmp_path / "data", **settings)
    unread, pipe = os.pipe()
    command = f'{prefix} "$0" -m gunicorn -c conf/{tier}.py {redirect}'
    process = subprocess.Popen(
        ["sh", "-c", command, sys.executable],
        cwd=ROOT,
        env=tiers.environment,
        stdin=subprocess.DEVNULL,
        stdout=pipe,
        stderr=pipe,
        start_new_session=True,
    )
    try:
        wait_until(f"{tier} answers", lambda: is_healthy(Address("127.0.0.1", tiers.ports[tier])), timeout_s=30)
        yield tiers
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        os.close(unread)
        os.close(pipe)


def master_of(tier: str) -> int:
    """Returns the master process of a tier that was started with `exec`: without it, the child would be the shell."""
    [master] = [pid for pid in children(os.getpid()) if f"conf/{tier}.py" in Path(f"/proc/{pid}/cmdline").read_text()]
    return master


def send(tiers: Tiers, tier: str, request: bytes) -> bytes:
    """Sends a request. Returns version and status of the reply, such as `HTTP/1.1 400`."""
    with socket.create_connection(("127.0.0.1", tiers.ports[tier]), timeout=20) as connection:
        connection.sendall(request)
        return connection.recv(12)


def fill_access_log(tiers: Tiers, tier: str) -> None:
    """Causes more lines than the pipe and the queue of the log hold. Each request must be answered."""
    request = b"GET /nothing HTTP/1.1\r\nHost: a\r\nUser-Agent: " + b"x" * 100 + b"\r\n\r\n"
    with socket.create_connection(("127.0.0.1", tiers.ports[tier]), timeout=20) as connection:
        for _ in range(20):
            connection.sendall(request * 100)
            replies = b""
            while replies.count(b"HTTP/1.1 404") < 100:
                received = connection.recv(65536)
                assert received
                replies += received


@pytest.mark.parametrize(
    ("tier", "redirect"),
    [
        *(("catalog", end) for end in (">&-", "2>&-", "<&-", "> /dev/full", "2> /dev/full", "2>&1 | true")),
        *((tier, end) for tier in NAMES for end in (">&- 2>&- <&-", "> /dev/full 2>&1")),
    ],
)
def test_a_tier_serves_with_its_output_closed_or_full(tmp_path: Path, tier: str, redirect: str) -> None:
    with started(tier, tmp_path, redirect) as tiers:
        assert send(tiers, tier, MALFORMED[0]) == b"HTTP/1.1 400"
        assert requests.get(f"{tiers.url(tier)}/health", timeout=10).status_code == 200


@pytest.mark.parametrize("settings", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}])
def test_a_tier_serves_with_an_output_that_is_not_utf_8(tmp_path: Path, settings: dict[str, str]) -> None:
    products = tmp_path / "Bär.txt"
    products.touch()
    with started("catalog", tmp_path, f"> {tmp_path}/log 2>&1", PRODUCTS=str(products), **settings) as tiers:
        assert requests.get(f"{tiers.url('catalog')}/products", timeout=10).json()["data"] == []
        assert b"(PRODUCTS) has no product" in Path(tmp_path / "log").read_bytes()


@pytest.mark.parametrize("tier", ["catalog", "front_end"])
def test_malformed_requests_do_not_block_a_tier_whose_log_is_not_read(tmp_path: Path, tier: str) -> None:
    """The access log, unlike the error log, has a line for each: more than the pipe and the queue hold."""
    options = {"GUNICORN_CMD_ARGS": "--access-logfile -"}
    with started(tier, tmp_path, **options) as tiers:
        fill_access_log(tiers, tier)
        for request in islice(cycle(MALFORMED), 600):
            assert send(tiers, tier, request).startswith(b"HTTP/1.1 4")
        assert requests.get(f"{tiers.url(tier)}/health", timeout=10).status_code == 200


def test_a_log_fifo_that_is_not_read_does_not_block_a_tier(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    options = {"GUNICORN_CMD_ARGS": f"--access-logfile {tmp_path}/fifo"}
    try:
        with started("catalog", tmp_path, **options) as tiers:
            fill_access_log(tiers, "catalog")
            assert requests.get(f"{tiers.url('catalog')}/health", timeout=10).status_code == 200
    finally:
        os.close(reader)


def test_a_renamed_log_file_is_reopened_after_sigusr1(tmp_path: Path) -> None:
    log, renamed = tmp_path / "error.log", tmp_path / "renamed.log"
    with started("catalog", tmp_path, prefix="exec", GUNICORN_CMD_ARGS=f"--error-logfile {log}") as tiers:
        send(tiers, "catalog", MALFORMED[0])
        wait_until("the first line is written", lambda: b"a header is malformed" in log.read_bytes())
        log.rename(renamed)
        master = master_of("catalog")
        os.kill(master, signal.SIGUSR1)

        def is_reopened() -> bool:
            pids = [master, *children(master)]
            return log.exists() and not any(str(renamed) in open_files(pid) for pid in pids)

        wait_until("all processes have reopened it", is_reopened)
        send(tiers, "catalog", MALFORMED[3])
        wait_until("the second line is written", lambda: b"the request line is malformed" in log.read_bytes())


def test_a_tier_whose_log_is_not_read_still_stops(tmp_path: Path) -> None:
    options = {"GUNICORN_CMD_ARGS": "--access-logfile -"}
    with started("catalog", tmp_path, prefix="exec", **options) as tiers:
        fill_access_log(tiers, "catalog")
        master = master_of("catalog")
        os.kill(master, signal.SIGTERM)
        wait_until(
            "the master has ended",
            lambda: os.waitid(os.P_PID, master, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None,
        )


def test_malformed_requests_cause_few_short_single_lines_of_log(tmp_path: Path) -> None:
    tiers = Tiers(tmp_path / "data")
    try:
        tiers.start("catalog")
        before = tiers.log.stat().st_size
        start = time.monotonic()
        sent = 0  # bytes
        for request in islice(cycle(MALFORMED), 400):
            sent += len(request)
            send(tiers, "catalog", request)
        took_s = time.monotonic() - start
        wait_until("the number of dropped lines is logged", lambda: "left out" in tiers.log.read_text())
    finally:
        tiers.stop()
    log = tiers.log.read_bytes()[before:]
    lines = log.decode().removesuffix("\n").split("\n")
    assert [line for line in lines if not (LOG_LINE.fullmatch(line) and line.isprintable())] == []
    assert max(map(len, lines)) < 400
    counting_lines = [line for line in lines if "left out" in line]
    assert len(lines) - len(counting_lines) <= 5 + took_s + 2, "the log takes a burst of 5 lines, then one a second"
    counts = [int(re.findall(r"\] (\d+) more lines", line)[0]) for line in counting_lines]
    assert sum(counts) + len(lines) - len(counting_lines) == 400, "a line was neither written nor counted"
    assert len(log) < sent / 10


def ignores_hangups(pid: int) -> bool:
    """Returns whether the process ignores SIGHUP."""
    [mask] = re.findall(r"^SigIgn:\s*([0-9a-f]+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return bool(int(mask, 16) >> (signal.SIGHUP - 1) & 1)


@pytest.mark.parametrize("worker", ["store", "gthread"])
def test_a_tier_under_nohup_outlives_its_terminal(tmp_path: Path, worker: str) -> None:
    with started("front_end", tmp_path, prefix="exec nohup", WORKER=worker) as tiers:
        master = master_of("front_end")
        wait_until("both workers have started", lambda: len(children(master)) == 2)
        workers = children(master)
        wait_until("they ignore SIGHUP as the master does", lambda: all(ignores_hangups(worker) for worker in workers))
        os.killpg(master, signal.SIGHUP)  # as the kernel does when the terminal closes
        os.kill(master, signal.SIGTTIN)  # its effect shows that SIGHUP has been handled
        wait_until("there is one more worker", lambda: len(children(master)) > 2)
        assert children(master)[:2] == workers, "a worker has ended or was replaced"
        assert requests.get(f"{tiers.url('front_end')}/health", timeout=10).status_code == 200


def test_a_tier_that_does_not_ignore_sighup_reloads(tmp_path: Path) -> None:
    with started("front_end", tmp_path, prefix="exec") as tiers:
        master = master_of("front_end")
        wait_until("both workers have started", lambda: len(children(master)) == 2)
        workers = set(children(master))
        os.kill(master, signal.SIGHUP)
        wait_until(
            "both workers are replaced", lambda: len(children(master)) == 2 and not workers & set(children(master))
        )
        assert requests.get(f"{tiers.url('front_end')}/health", timeout=10).status_code == 200
