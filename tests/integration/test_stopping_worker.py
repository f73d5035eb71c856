"""A worker that stops, and its neighbours."""

import threading
import time

from server.connection import State
from server.scoreboard import scoreboard_of_this_tier
from tests.integration.test_server import GET, Server, wait_for


def test_nobody_leaves_connections_to_a_worker_that_takes_no_more() -> None:
    """Up to graceful_timeout long, its neighbours leave each new connection to it for 1 ms, and turn at full speed."""
    server = Server()
    with server.connect() as connection:
        connection.sendall(GET % b"held")
        wait_for(server, State.ANSWERING)
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        time.sleep(0.3)
        waits_for_it = scoreboard_of_this_tier().has_fewer_than(5)
        server.held.set_result(None)
        stopping.join()
    assert not waits_for_it
