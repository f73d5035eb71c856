"""`make run` with closed or full output, without its terminal, and with a killed parent process."""

import os
import pty
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import requests

from tests.e2e.test_run import wait_until_gone
from tests.support.supervised_store import SupervisedStore, command_of
from tests.support.tiers import NAMES, ROOT, descendants
from tests.support.waiting import wait_until


@pytest.mark.parametrize("victim", ["conf.run", "supervisord"])
def test_tiers_end_with_their_supervisor_and_the_store_can_start_again(tmp_path: Path, victim: str) -> None:
    with SupervisedStore(tmp_path / "data") as store:
        pids = store.processes()
        os.kill(pids[0] if victim == "conf.run" else pids[1], signal.SIGKILL)
        store.process.wait(timeout=30)
        again = SupervisedStore(tmp_path / "data")
        again.environment = store.environment
        with again:  # at once: the new run waits for the ports
            assert requests.post(store.url("front_end") + "/Tux/1", timeout=10).json()["data"] == {"order_number": "0"}
            wait_until_gone(pids)


def test_a_tier_whose_parent_has_already_ended_ends(tmp_path: Path) -> None:
    store = SupervisedStore(tmp_path / "data")
    command = [sys.executable, "-m", "conf.with_parent", "999999999", "SIGTERM", "gunicorn", "-c", "conf/catalog.py"]
    with store.log.open("wb") as log:
        tier = subprocess.Popen(command, cwd=ROOT, env=store.environment, stdout=log, stderr=log)
    assert tier.wait(timeout=30) in (0, -signal.SIGTERM)


@pytest.mark.parametrize("redirect", [">&- 2>&- <&-", "> /dev/full 2>&1", "2>&1 | head -1"])
def test_the_store_runs_with_closed_or_full_output(tmp_path: Path, redirect: str) -> None:
    store = SupervisedStore(tmp_path / "data")
    with shell(f'"$0" -m conf.run {redirect} & wait', store.environment) as process:
        store.wait_until_all_answer()
        assert requests.post(store.url("front_end") + "/Tux/1", timeout=10).json()["data"] == {"order_number": "0"}
        [conf_run] = [pid for pid in descendants(process.pid) if command_of(pid).endswith("-m\0conf.run\0")]
        os.kill(conf_run, signal.SIGTERM)
        wait_until("all have ended", lambda: not descendants(process.pid), timeout_s=30)


@contextmanager
def shell(
    command: str, environment: dict[str, str], terminal: int = subprocess.DEVNULL
) -> "Iterator[subprocess.Popen[bytes]]":
    """Runs a shell in a new session, and kills it and its descendants at the end of the block."""
    process = subprocess.Popen(
        ["sh", "-c", command, sys.executable],
        cwd=ROOT,
        env=environment,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        for pid in [*descendants(process.pid), process.pid]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


def master_of_the_catalog(pid: int) -> int:
    """Returns the process id of the catalog's master below this process, or 0."""
    for descendant in descendants(pid):
        with suppress(OSError):
            if "conf/catalog.py" in command_of(descendant):
                return descendant
    return 0


def test_the_banner_is_printed_in_ascii(tmp_path: Path) -> None:
    with SupervisedStore(tmp_path / "Bär", PYTHONIOENCODING="ascii") as store:
        assert requests.get(store.url("front_end") + "/products/Tux", timeout=10).status_code == 200
        assert f"curl {store.url('front_end')}/products/Tux" in store.output()
        assert "/B\\xe4r/order.db" in store.output()


def test_a_store_under_nohup_outlives_its_terminal(tmp_path: Path) -> None:
    store = SupervisedStore(tmp_path / "data")
    with shell('exec nohup "$0" -m conf.run', store.environment) as process:
        store.wait_until_all_answer()
        before = set(descendants(process.pid))
        os.killpg(process.pid, signal.SIGHUP)  # as the kernel does when the terminal closes
        time.sleep(1.0)  # time enough to end
        assert before <= set(descendants(process.pid))
        assert requests.get(store.url("front_end") + "/products/Tux", timeout=10).status_code == 200
        process.terminate()
        assert process.wait(timeout=30) == 0


def test_a_hangup_ends_a_store_that_does_not_ignore_it(tmp_path: Path) -> None:
    store = SupervisedStore(tmp_path / "data")
    with shell('exec "$0" -m conf.run', store.environment) as process:
        store.wait_until_all_answer()
        os.killpg(process.pid, signal.SIGHUP)
        assert process.wait(timeout=30) == 0


def test_a_stopped_terminal_blocks_nothing(tmp_path: Path) -> None:
    """After a Ctrl-S, the store starts, logs 1,200 malformed requests, restarts a killed tier, and ends."""
    store = SupervisedStore(tmp_path / "data")
    terminal, theirs = pty.openpty()
    os.write(terminal, b"\x13")
    try:
        with shell('exec "$0" -m conf.run', store.environment, terminal=theirs) as process:
            store.wait_until_all_answer()
            for number in range(1200):
                port = store.ports[NAMES[number % 3]]
                with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
                    connection.sendall(b"GET / HTTP/1.1\r\nX" + b"y" * 7000 + b" : z\r\n\r\n")
                    assert connection.recv(12) == b"HTTP/1.1 400"
            before = master_of_the_catalog(process.pid)
            os.kill(before, signal.SIGKILL)
            wait_until("the catalog is restarted", lambda: master_of_the_catalog(process.pid) not in (0, before))
            store.wait_until_all_answer()
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=30) == 0
    finally:
        os.close(terminal)
        os.close(theirs)
