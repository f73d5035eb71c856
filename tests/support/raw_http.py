"""Connects to a running tier over a socket, and reads the replies to the raw bytes that a test sends."""

import socket

from tests.support.tiers import Tiers


def connect(tiers: Tiers, tier: str = "catalog") -> socket.socket:
    """Opens a connection to a tier, by default to the catalog."""
    return socket.create_connection(("127.0.0.1", tiers.ports[tier]), timeout=60)


def read_replies(connection: socket.socket, count: int) -> list[tuple[int, bytes]]:
    """Returns status and body of the next replies; fewer than `count` when the server closes the connection."""
    replies: list[tuple[int, bytes]] = []
    with connection.makefile("rb") as stream:
        while len(replies) < count and (line := stream.readline()):
            length = 0
            while (header := stream.readline().strip()) != b"":
                if header.lower().startswith(b"content-length:"):
                    length = int(header.split(b":")[1])
            replies.append((int(line.split()[1]), stream.read(length)))
    return replies
