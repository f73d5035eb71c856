"""A database node in a container: `python -m cluster.container node1`, with etcd, Patroni, and its PostgreSQL.

The container's main process. It ends, and with it the container, when etcd or Patroni ends; the engine starts it again.
"""

import argparse
import dataclasses
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from cluster import etcd, patroni
from cluster.layout import Layout, Node, Ports, numbered_layout
from cluster.passwords import Passwords

# The names of the nodes in their own network, which no tier is in.
PEERS = ("peer1", "peer2", "peer3")
_PROGRAMS = Path("/usr/lib/postgresql")
_RESOLVE_TIMEOUT_S = 30.0
_CHECK_TIMEOUT_S = 4.0
_STOP_TIMEOUT_S = 30.0
_POLL_S = 0.2


def main(arguments: Sequence[str]) -> int:
    """Runs a node until a signal ends it, or checks it. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m cluster.container", description=__doc__)
    parser.add_argument("name", help="node1, node2 or node3")
    parser.add_argument("--check", action="store_true", help="tell by the exit code whether its PostgreSQL runs")
    parser.add_argument("--data", type=Path, default=Path("/data"), help="folder of the state (default /data)")
    parser.add_argument("--secrets", type=Path, default=Path("/secrets/nodes"), help="folder of the passwords")
    options = parser.parse_args(arguments)
    layout = dataclasses.replace(numbered_layout(PEERS, Ports()), listens_everywhere=True)
    node = layout.node(options.name)
    if options.check:
        return 0 if _runs(layout, node) else 1
    return _run(layout, node, options.data, Passwords.read(options.secrets))


def _runs(layout: Layout, node: Node) -> bool:
    """Returns whether PostgreSQL runs on this node, as the leader or as a standby."""
    connection = http.client.HTTPConnection(node.host, layout.ports.patroni, timeout=_CHECK_TIMEOUT_S)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _run(layout: Layout, node: Node, data: Path, passwords: Passwords) -> int:
    """Runs etcd and Patroni until one of them ends, or a signal comes."""
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: asked.append(number))
    here = _address(node.host)
    files = patroni.Files(data, max(_PROGRAMS.glob("*/bin")), data / "first.sql")
    patroni.write(files, patroni.configuration(layout, node, files, passwords, listen=here), passwords)
    commands = (
        etcd.command("etcd", layout, node, data / "etcd", listen=here),
        [sys.executable, "-m", "patroni", str(files.configuration)],
    )
    environment = {**os.environ, "HOME": str(data), "LC_ALL": "C.UTF-8"}
    members = [subprocess.Popen(command, cwd=data, env=environment) for command in commands]
    while not asked and all(member.poll() is None for member in members):
        time.sleep(_POLL_S)
    for member in reversed(members):  # Patroni stops PostgreSQL, and gives up the lock of the leader in etcd
        member.terminate()
        try:
            member.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            member.kill()
    return 0 if asked else 1


def _address(host: str) -> str:
    """Returns the address of this container in the network of the nodes. Raises OSError when it has none."""
    deadline = time.monotonic() + _RESOLVE_TIMEOUT_S
    while True:
        try:
            return socket.gethostbyname(host)
        except OSError:
            if time.monotonic() > deadline:
                raise
        time.sleep(_POLL_S)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
