"""`make cluster`: three database nodes on 127.0.0.1 to 127.0.0.3, two of each tier, and HAProxy before the front ends.

The nodes are PostgreSQL with Patroni and etcd, without containers. This process starts all, prints the links, starts
again what is killed, and ends all at Ctrl-C. The state stays in a folder.
"""

import argparse
import contextlib
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from cluster.databases import Databases, Member
from cluster.layout import LOCAL_PORTS, Layout, loopback_layout
from cluster.passwords import Passwords
from cluster.processes import Keeper
from cluster.programs import Missing, find
from cluster.tiers import ROOT, LocalTiers
from conf.addresses import Address
from conf.ports import holder_of
from wsgi_apps.login_links import new_login_token

FOLDER = Path("cluster-data")
REQUIREMENTS = ROOT / "requirements" / "cluster.txt"
# A killed node stays away for long enough to see the failover.
NODE_RESTART_S = 30.0
_WATCH_S = 1.0


def main(arguments: Sequence[str] = ()) -> int:
    """Runs the cluster until a signal ends it, and returns the exit code."""
    options = _parser().parse_args(arguments)
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    folder = options.folder.absolute()
    layout = loopback_layout(LOCAL_PORTS)
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        print("cluster: looking for the programs; the first start as root installs some", flush=True)
        programs = find(folder, REQUIREMENTS)
        passwords = Passwords.made_once(folder / "secrets")
        tiers = LocalTiers(folder / "tiers", layout.store_address(passwords.store), programs)
        _require_free(layout, tiers)
        databases = Databases(layout, folder, programs, passwords)
        with _started(databases, tiers, stopping):
            _watch(databases, stopping)
    except (Missing, OSError, TimeoutError) as error:
        print(f"cluster: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m cluster.run",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="The settings of the store (`make help`) apply to the tiers, but for addresses and databases.",
        allow_abbrev=False,
    )
    parser.add_argument("--folder", type=Path, default=FOLDER, help=f"folder of all state and logs (default {FOLDER})")
    return parser


def _require_free(layout: Layout, tiers: LocalTiers) -> None:
    """Raises OSError when an address of the cluster is in use."""
    ports = layout.ports
    ours = [
        Address(node.host, port)
        for node in layout.nodes
        for port in (ports.postgres, ports.patroni, ports.etcd, ports.etcd_peers)
    ]
    for address in [*ours, tiers.shop, *(tier.address for tier in tiers.tiers)]:
        try:
            socket.create_server((address.host, address.port)).close()
        except OSError as error:
            holder = holder_of(address)
            raise OSError(f"{address} is in use{f' by {holder}' if holder else ''}: {error.strerror}") from error


@contextlib.contextmanager
def _started(databases: Databases, tiers: LocalTiers, stopping: threading.Event) -> Iterator[None]:
    """Starts all, prints the banner, and ends all at the end of the block."""
    keepers = Keeper(), Keeper(NODE_RESTART_S)
    try:
        took_s = databases.start()
        print(f"cluster: a leader with two standbys after {took_s:.0f} s", flush=True)
        if not stopping.is_set():
            keepers[1].keep(process for node in databases.nodes for process in node.processes)
            keepers[0].keep(tiers.processes)
            tiers.wait_until_ready()
            print(_banner(databases, tiers), flush=True)
        yield
    finally:
        print("cluster: ending the tiers, then the nodes", flush=True)
        for keeper in keepers:
            keeper.stop()
        tiers.stop()
        databases.stop()


def _watch(databases: Databases, stopping: threading.Event) -> None:
    """Prints the members of the cluster whenever they change, until the end of the run."""
    before: list[Member] = []
    while not stopping.wait(_WATCH_S):
        now = databases.members()
        if now != before:
            print("cluster:", "; ".join(f"{one.name} {one.role} {one.state}" for one in now) or "no node answers")
            sys.stdout.flush()
        before = now


def _banner(databases: Databases, tiers: LocalTiers) -> str:
    """Returns the links, and commands to try."""
    folder, ports = databases.nodes[0].folder.parent, databases.layout.ports
    secret = tiers.owner_secret.read_text("ascii").strip().split(",")[0]
    listed = f"curl -s http://{databases.layout.nodes[0].host}:{ports.patroni}/cluster"
    victim = databases.leader()
    return f"""
shop   http://{tiers.shop}        (HAProxy, before two front ends)
desk   http://{tiers.desk}/login?token={new_login_token(secret)}
state  {folder}        (a folder for each node, and tiers/ with the logs of the tiers)

Try, in another terminal:
  curl -X POST http://{tiers.shop}/Tux/1
  {listed}        # the members: who leads
  kill -9 $(head -1 {victim.folder}/postgres/postmaster.pid)        # kills the leader's PostgreSQL
  tail -F {folder}/*/patroni.log

Ctrl-C ends it; the state stays. What is killed comes back: a tier in 1 s, a node in {NODE_RESTART_S:.0f} s.
"""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
