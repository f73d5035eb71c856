"""The layout of a cluster: addresses of nodes, and the address of the store's database."""

import pytest

from cluster.layout import LOCAL_PORTS, Ports, loopback_layout, numbered_layout


def test_the_address_of_the_store_names_all_nodes_and_wants_the_leader() -> None:
    layout = numbered_layout(["node1", "node2", "node3"], Ports())
    assert layout.store_address("p/w?") == (
        "postgresql://toystore:p%2Fw%3F@node1:5432,node2:5432,node3:5432/toystore?target_session_attrs=read-write"
    )


def test_on_this_machine_the_nodes_have_addresses_of_their_own_and_no_usual_port() -> None:
    layout = loopback_layout()
    assert [(node.name, node.host) for node in layout.nodes] == [
        ("node1", "127.0.0.1"),
        ("node2", "127.0.0.2"),
        ("node3", "127.0.0.3"),
    ]
    usual, local = Ports(), LOCAL_PORTS
    assert not {usual.postgres, usual.patroni, usual.etcd} & {local.postgres, local.patroni, local.etcd}


def test_an_unknown_node_is_named() -> None:
    with pytest.raises(LookupError, match="the cluster has no node9; it has node1, node2, node3"):
        loopback_layout().node("node9")
