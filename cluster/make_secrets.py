"""Makes the secrets of a cluster in containers, each once: `python -m cluster.make_secrets`.

The nodes get the passwords of PostgreSQL, and the tiers the address of the database with the password of their role.
"""

import argparse
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

from cluster.layout import Ports, numbered_layout
from cluster.passwords import Passwords, write_once

# The names of the nodes in the network that they share with catalog and order tier.
NODES = ("node1", "node2", "node3")


def main(arguments: Sequence[str]) -> int:
    """Makes the files that are missing. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m cluster.make_secrets", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("/secrets"), help="holds nodes/, store/ and owner/")
    folder: Path = parser.parse_args(arguments).folder
    passwords = Passwords.made_once(folder / "nodes")
    layout = numbered_layout(NODES, Ports())
    write_once(folder / "store" / "database", layout.store_address(passwords.store))
    write_once(folder / "owner" / "secret", secrets.token_urlsafe(32))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
