"""The state of one connection, over a pair of sockets."""

import socket

from server.connection import Connection, State
from server.reader import RequestReader


def test_data_that_comes_while_a_connection_lingers_is_dropped() -> None:
    """A client that goes on sending after the last response would fill the memory."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        reader = RequestReader({})
        connection = Connection(ours, "a client", reader)
        connection.enter(State.LINGERING, timeout_s=1.0)
        theirs.sendall(b"x" * 1_000)
        assert connection.receive()
        assert reader.is_empty
