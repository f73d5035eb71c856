"""Line ends between requests, which some clients send."""

import time
from collections.abc import Iterator

import pytest

from server.connection import State
from server.worker import REQUEST_TIMEOUT_S
from tests.integration.test_server import Server, wait_for


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(keepalive=75)
    yield server
    server.held.set_result(None)
    server.stop()


def test_line_ends_do_not_give_a_client_more_time(server: Server) -> None:
    """A new client has 5 s for its first request. Half an empty line, then the other half, and it has 75, again and
    again; and as the one that has been idle for the shortest time it is the last to make room for others."""
    with server.connect() as connection:
        wait_for(server, State.IDLE)
        [kept] = server.worker._connections
        begun = time.monotonic()
        connection.sendall(b"\r")
        time.sleep(0.05)
        connection.sendall(b"\n")
        time.sleep(0.05)
        assert server.states() == [State.IDLE]
        assert kept.deadline is not None
        assert kept.deadline - begun <= REQUEST_TIMEOUT_S + 1.0
