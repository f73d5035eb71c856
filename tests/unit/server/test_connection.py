"""The state of one connection, over a pair of sockets."""

import socket

from server.connection import Connection, State
from server.reader import RequestReader


def test_data_that_comes_while_a_connection_lingers_is_dropped() -> None:
    """A client that goes on sending after the last response would fill the memory."""
    server_end, client_end = socket.socketpair()
    with server_end, client_end:
        server_end.setblocking(False)
        reader = RequestReader({})
        connection = Connection(server_end, "a client", reader)
        connection.enter(State.LINGERING, timeout_s=1.0)
        client_end.sendall(b"x" * 1_000)
        assert connection.receive()
        assert reader.is_empty
