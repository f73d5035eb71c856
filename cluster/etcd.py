"""The command line of a member of etcd."""

from pathlib import Path

from cluster.layout import Layout, Node


def command(program: str, layout: Layout, node: Node, folder: Path, listen: str | None = None) -> list[str]:
    """Returns the command that runs the member of a node. Its state is in `folder`; an old state is used again.

    `listen` is the address of a node whose host is a name: etcd listens on addresses only.
    """
    here = listen or node.host
    clients = f"http://{node.host}:{layout.ports.etcd}"
    peers = f"http://{node.host}:{layout.ports.etcd_peers}"
    members = ",".join(f"{each.name}=http://{each.host}:{layout.ports.etcd_peers}" for each in layout.nodes)
    return [
        program,
        f"--name={node.name}",
        f"--data-dir={folder}",
        f"--listen-client-urls=http://{here}:{layout.ports.etcd}",
        f"--advertise-client-urls={clients}",
        f"--listen-peer-urls=http://{here}:{layout.ports.etcd_peers}",
        f"--initial-advertise-peer-urls={peers}",
        f"--initial-cluster={members}",
        "--initial-cluster-state=new",
        "--initial-cluster-token=toystore",
        "--auto-compaction-mode=periodic",
        "--auto-compaction-retention=1h",
        "--log-level=warn",
    ]
