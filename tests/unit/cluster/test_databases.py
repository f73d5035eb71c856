"""Whether the nodes are complete: a leader, and standbys for which its COMMIT may wait."""

import pytest

from cluster.databases import Member, is_complete, members
from cluster.layout import Ports, loopback_layout, numbered_layout

LEADER = Member("node1", "leader", "running")
QUORUM = [Member("node2", "quorum_standby", "streaming"), Member("node3", "quorum_standby", "streaming")]


def test_a_leader_with_two_quorum_standbys_is_complete() -> None:
    assert is_complete(loopback_layout(), [LEADER, *QUORUM])


@pytest.mark.parametrize(
    "found",
    [
        [],
        [LEADER],
        [LEADER, QUORUM[0]],
        [LEADER, QUORUM[0], Member("node3", "replica", "streaming")],
        [LEADER, QUORUM[0], Member("node3", "quorum_standby", "running")],
        [Member("node1", "leader", "stopped"), *QUORUM],
        [LEADER, Member("node2", "leader", "running"), *QUORUM],
    ],
)
def test_less_is_not_complete(found: list[Member]) -> None:
    assert not is_complete(loopback_layout(), found)


def test_in_an_asynchronous_cluster_replicas_are_enough() -> None:
    replicas = [Member("node2", "replica", "streaming"), Member("node3", "replica", "streaming")]
    assert is_complete(loopback_layout(is_synchronous=False), [LEADER, *replicas])


def test_no_node_answers_while_none_runs() -> None:
    assert members(numbered_layout(["127.0.0.1"], Ports(patroni=1))) == []
