"""The layout of a cluster: its nodes, their ports, and the addresses at which its parts reach each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

# The database of the store, and the role that owns it. It is no superuser.
DATABASE = "toystore"
ROLE = "toystore"


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of a node, the same on each node."""

    postgres: int = 5432
    patroni: int = 8008
    etcd: int = 2379
    etcd_peers: int = 2380


# On this machine, where others may use the usual ports. Ports from 32768 on are given to outgoing connections.
LOCAL_PORTS = Ports(postgres=15432, patroni=18008, etcd=12379, etcd_peers=12380)


@dataclass(frozen=True, slots=True)
class Node:
    """One database node: a PostgreSQL, the Patroni that decides whether it is the leader, and a member of etcd."""

    name: str
    host: str  # at which the other nodes reach it


@dataclass(frozen=True, slots=True)
class Layout:
    """The nodes of a cluster. `is_synchronous` is off only in fault runs that must find losses.

    `listens_everywhere`: PostgreSQL listens on all addresses of its node, for tiers on another network than the nodes'.
    """

    nodes: tuple[Node, ...]
    ports: Ports = Ports()
    is_synchronous: bool = True
    listens_everywhere: bool = False

    def node(self, name: str) -> Node:
        """Returns the node of this name. Raises LookupError."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise LookupError(f"the cluster has no {name}; it has {', '.join(node.name for node in self.nodes)}")

    def store_address(self, password: str) -> str:
        """Returns the value of CATALOG_DATABASE and ORDER_DATABASE: all nodes, of which the leader is chosen."""
        hosts = ",".join(f"{node.host}:{self.ports.postgres}" for node in self.nodes)
        return f"postgresql://{ROLE}:{quote(password, safe='')}@{hosts}/{DATABASE}?target_session_attrs=read-write"


def loopback_layout(ports: Ports = LOCAL_PORTS, *, is_synchronous: bool = True) -> Layout:
    """Returns the layout of three nodes on 127.0.0.1 to 127.0.0.3."""
    return numbered_layout([f"127.0.0.{number}" for number in (1, 2, 3)], ports, is_synchronous=is_synchronous)


def numbered_layout(hosts: Sequence[str], ports: Ports, *, is_synchronous: bool = True) -> Layout:
    """Returns a layout with the nodes node1, node2, … on these hosts."""
    nodes = tuple(Node(f"node{number}", host) for number, host in enumerate(hosts, start=1))
    return Layout(nodes, ports, is_synchronous)
