"""A network of its own for each node: Linux's network namespaces, joined by a bridge, so that a node can be cut off.

Only root can make them. This process must be in a network of its own already (`unshare --net`), where the bridge is.
"""

import os
import subprocess
from collections.abc import Sequence

from cluster.layout import Node

_HUB = "10.98.0.254"
_BRIDGE = "bridge0"
# Nobody has this address, so what is sent to it vanishes without a word, as in a broken network.
_NOWHERE = "02:00:00:00:00:01"


class Networks:
    """The networks of the nodes. This process is at the bridge, and reaches all nodes."""

    def __init__(self, nodes: int) -> None:
        self.hosts = [f"10.98.0.{number}" for number in range(1, nodes + 1)]
        self._names = {host: f"toystore-{os.getpid()}-{number}" for number, host in enumerate(self.hosts, start=1)}

    def wrap(self, node: Node, command: list[str]) -> list[str]:
        """Returns the command as it runs in the network of a node."""
        return ["ip", "netns", "exec", self._names[node.host], *command]

    def make(self) -> None:
        """Makes the networks and joins them."""
        _ip("link", "set", "lo", "up")
        _ip("link", "add", _BRIDGE, "type", "bridge")
        _ip("addr", "add", f"{_HUB}/24", "dev", _BRIDGE)
        _ip("link", "set", _BRIDGE, "up")
        for number, (host, name) in enumerate(self._names.items(), start=1):
            _ip("netns", "add", name)
            _ip("link", "add", f"node{number}", "type", "veth", "peer", "name", "eth0", "netns", name)
            _ip("link", "set", f"node{number}", "master", _BRIDGE, "up")
            for command in (
                ("link", "set", "lo", "up"),
                ("addr", "add", f"{host}/24", "dev", "eth0"),
                ("link", "set", "eth0", "up"),
            ):
                _ip("-n", name, *command)

    def remove(self) -> None:
        """Removes the networks of the nodes and the bridge, as far as they were made."""
        for name in self._names.values():
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)
        subprocess.run(["ip", "link", "delete", _BRIDGE], capture_output=True, check=False)

    def cut(self, host: str, others: Sequence[str]) -> None:
        """Drops all that this node and the others send to each other. No end is told."""
        for here, there in self._pairs(host, others):
            self._neighbour("replace", here, there)

    def mend(self, host: str, others: Sequence[str]) -> None:
        """Undoes `cut`."""
        for here, there in self._pairs(host, others):
            self._neighbour("delete", here, there)

    def everyone_but(self, host: str) -> list[str]:
        """Returns the other nodes, and the place of the tiers."""
        return [*self.nodes_but(host), _HUB]

    def nodes_but(self, host: str) -> list[str]:
        return [each for each in self.hosts if each != host]

    @staticmethod
    def _pairs(host: str, others: Sequence[str]) -> list[tuple[str, str]]:
        return [pair for other in others for pair in ((host, other), (other, host))]

    def _neighbour(self, verb: str, here: str, there: str) -> None:
        """Changes the address at which the host `here` looks for the host `there`."""
        place = ["-n", self._names[here]] if here in self._names else []
        device = "eth0" if here in self._names else _BRIDGE
        wrong = ["lladdr", _NOWHERE, "nud", "permanent"] if verb == "replace" else []
        _ip(*place, "neigh", verb, there, *wrong, "dev", device)


def _ip(*arguments: str) -> None:
    """Runs ip. Raises RuntimeError with its words."""
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
