"""HAProxy's configuration: HAProxy itself accepts it, and no buy is sent twice by it."""

import shutil
import subprocess
from pathlib import Path

import pytest

from cluster import haproxy

PROGRAM = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin")


@pytest.mark.skipif(PROGRAM is None, reason="this machine has no haproxy")
@pytest.mark.parametrize("are_looked_up", [False, True])
def test_haproxy_accepts_it(tmp_path: Path, are_looked_up: bool) -> None:
    file = tmp_path / "haproxy.cfg"
    servers = ["127.0.0.1:16060", "127.0.0.2:16060"]
    file.write_text(haproxy.configuration("127.0.0.1:6060", servers, are_looked_up=are_looked_up))
    done = subprocess.run([str(PROGRAM), "-c", "-f", str(file)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_only_a_request_that_reached_no_front_end_is_sent_to_another_one() -> None:
    """A buy without a key of its own would be made twice. HAProxy's default, conn-failure, is the only safe one."""
    assert "retry-on" not in haproxy.configuration("127.0.0.1:6060", ["127.0.0.1:16060"])


def test_a_front_end_is_asked_whether_it_is_ready_and_when_none_is_whether_it_lives() -> None:
    text = haproxy.configuration("127.0.0.1:6060", ["127.0.0.1:16060", "127.0.0.2:16060"])
    ready, living = text.split("\nbackend ready_front_ends")[1].split("\nbackend living_front_ends")
    assert "uri /ready " in ready and "uri /health " in living
    for backend in (ready, living):
        assert backend.count(" check") == 2
