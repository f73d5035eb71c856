"""The three database nodes on this machine, as one server of PostgreSQL that survives the loss of any of them."""

import http.client
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster.layout import Layout, Node
from cluster.node import LocalNode, Wrap, unwrapped
from cluster.passwords import Passwords
from cluster.processes import wait_for
from cluster.programs import Programs

START_TIMEOUT_S = 120.0
# Patroni lets PostgreSQL finish its transactions and write a checkpoint.
STOP_TIMEOUT_S = 30.0
_ASK_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class Member:
    """A node as Patroni reports it. `role` is leader, quorum_standby, sync_standby or replica."""

    name: str
    role: str
    state: str

    @property
    def is_leader(self) -> bool:
        return self.role == "leader" and self.state == "running"

    @property
    def is_synchronous(self) -> bool:
        """Whether it is a standby for which the leader's COMMIT may wait."""
        return self.role in ("quorum_standby", "sync_standby") and self.state == "streaming"

    @property
    def is_streaming(self) -> bool:
        return self.role != "leader" and self.state == "streaming"


def members(layout: Layout, ask: Sequence[Node] | None = None) -> list[Member]:
    """Returns the members that the first answering node reports; none while no node answers."""
    for node in layout.nodes if ask is None else ask:
        connection = http.client.HTTPConnection(node.host, layout.ports.patroni, timeout=_ASK_TIMEOUT_S)
        try:
            connection.request("GET", "/cluster")
            reported = json.loads(connection.getresponse().read())["members"]
            return [Member(each["name"], each["role"], each["state"]) for each in reported]
        except (OSError, http.client.HTTPException, ValueError, LookupError):
            continue
        finally:
            connection.close()
    return []


def is_complete(layout: Layout, found: Sequence[Member]) -> bool:
    """Returns whether a leader runs and every other node is a standby that may take its place."""
    standbys = [member for member in found if member.is_synchronous or not layout.is_synchronous]
    streaming = [member for member in standbys if member.is_streaming]
    return sum(member.is_leader for member in found) == 1 and len(streaming) == len(layout.nodes) - 1


class Databases:
    """The nodes of a layout. Their state is in a folder, which a later start uses again."""

    def __init__(
        self, layout: Layout, folder: Path, programs: Programs, passwords: Passwords, wrap: Wrap = unwrapped
    ) -> None:
        self.layout = layout
        self.nodes = [LocalNode(layout, node, folder / node.name, programs, passwords, wrap) for node in layout.nodes]
        self._by_name = {node.name: node for node in self.nodes}

    def start(self) -> float:
        """Starts all nodes, and returns after how many seconds they were complete.

        Raises TimeoutError, and OSError when a process ends by itself.
        """
        begun = time.monotonic()
        for node in self.nodes:
            node.start()

        def is_complete() -> bool:
            for process in (process for node in self.nodes for process in node.processes):
                if process.has_ended():
                    raise OSError(f"{process.name} has ended; the reason is in {process.log}")
            return self.is_complete()

        wait_for("a leader with two standbys", is_complete, START_TIMEOUT_S, lambda: str(self.members()))
        return time.monotonic() - begun

    def members(self) -> list[Member]:
        """Returns the members as a living node reports them."""
        return members(self.layout, [node.node for node in self.nodes if node.patroni.runs()])

    def is_complete(self) -> bool:
        return is_complete(self.layout, self.members())

    def leader(self) -> LocalNode:
        """Returns the leader. Raises TimeoutError while there is none."""
        found: list[LocalNode] = []

        def has_leader() -> bool:
            found.extend(self._by_name[member.name] for member in self.members() if member.is_leader)
            return bool(found)

        wait_for("a leader", has_leader, START_TIMEOUT_S, lambda: str(self.members()))
        return found[0]

    def standbys(self) -> list[LocalNode]:
        """Returns the nodes that do not lead."""
        leader = self.leader()
        return [node for node in self.nodes if node is not leader]

    def stop(self) -> None:
        """Stops all nodes: the standbys first, so that the leader is not replaced. Kills what does not stop."""
        leading = {member.name for member in self.members() if member.is_leader}
        for are_leaders in (False, True):
            stopping = [node for node in self.nodes if (node.name in leading) == are_leaders]
            for node in stopping:
                node.patroni.terminate()
            deadline = time.monotonic() + STOP_TIMEOUT_S
            for node in stopping:
                node.patroni.wait(max(0.0, deadline - time.monotonic()))
        for node in self.nodes:
            node.etcd.terminate()
        for node in self.nodes:
            node.etcd.wait(5)
            node.kill()
            node.free_shared_memory()
