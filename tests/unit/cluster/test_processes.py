"""The processes of a cluster: they end with their parent, are killed with their children, and are started again."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cluster.processes import Keeper, Process, descendants, signal_all, wait_for
from cluster.programs import as_user
from tests.support.waiting import wait_until


def process(tmp_path: Path, script: str) -> Process:
    return Process("test", [sys.executable, "-c", script], tmp_path / "log", tmp_path)


ENDLESS = "import time; time.sleep(600)"
WITH_CHILD = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {ENDLESS!r}])"


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_process_is_killed_with_its_children(tmp_path: Path) -> None:
    parent = process(tmp_path, WITH_CHILD)
    parent.start()
    assert parent.pid is not None
    pid = parent.pid
    wait_until("it has a child", lambda: len(descendants(pid)) == 2)
    pids = descendants(pid)
    parent.kill()
    assert parent.wait(timeout_s=60)
    wait_until("both have ended", lambda: not any(map(is_alive, pids)))


def test_output_is_appended_to_the_log(tmp_path: Path) -> None:
    printing = process(tmp_path, "print('here')")
    for _ in range(2):
        printing.start()
        assert printing.wait(timeout_s=60)
    assert printing.log.read_text() == "here\nhere\n"
    assert printing.has_ended() and not printing.runs()


def test_a_keeper_starts_again_what_was_killed_until_it_is_stopped(tmp_path: Path) -> None:
    kept, keeper = process(tmp_path, ENDLESS), Keeper(restart_after_s=0.1)
    keeper.keep([kept])
    wait_until("it runs", kept.runs)
    first = kept.pid
    kept.kill()
    wait_until("it runs again", lambda: kept.runs() and kept.pid != first)
    second = kept.pid
    keeper.stop()
    kept.kill()
    assert kept.wait(timeout_s=60)
    time.sleep(0.5)
    assert kept.pid == second and kept.has_ended()


def test_a_keeper_takes_over_what_runs_already(tmp_path: Path) -> None:
    kept, keeper = process(tmp_path, ENDLESS), Keeper()
    kept.start()
    first = kept.pid
    keeper.keep([kept])
    time.sleep(0.3)
    assert kept.pid == first and kept.runs()
    keeper.stop()
    kept.kill()
    assert kept.wait(timeout_s=60)


def test_a_server_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    """As a user, too: no Patroni goes on after a `make cluster` that was killed."""
    setpriv = shutil.which("setpriv")
    assert setpriv is not None
    command = as_user(setpriv, "nobody" if os.getuid() == 0 else None, ["sleep", "600"])
    script = f"import subprocess; child = subprocess.Popen({command!r}); print(child.pid, flush=True); child.wait()"
    parent = subprocess.Popen([sys.executable, "-c", script], cwd="/", stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    wait_until("it sleeps", lambda: b"sleep" in Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")[0])
    parent.kill()
    parent.wait()
    wait_until("it has ended", lambda: not is_alive(child))
    parent.stdout.close()


def test_a_signal_to_a_process_that_has_ended_is_no_failure(tmp_path: Path) -> None:
    ended = process(tmp_path, "")
    ended.start()
    assert ended.wait(timeout_s=60) and ended.pid is not None
    signal_all([ended.pid], signal.SIGKILL)


def test_a_wait_names_what_did_not_come() -> None:
    with pytest.raises(TimeoutError, match=r"a leader: not within 0\.1 s\. node1 is away"):
        wait_for("a leader", lambda: False, 0.1, lambda: "node1 is away")
