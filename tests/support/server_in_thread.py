"""The worker of the server in a thread of the test process, with an app of the tests."""

import os
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from gunicorn.config import Config
from gunicorn.glogging import Logger
from gunicorn.sock import create_sockets

from server.connection import State
from server.scoreboard import scoreboard_of_this_tier
from server.worker import StoreWorker
from tests.support.waiting import wait_until
from wsgi_apps.reply import Deferred, Reply

GET = b"GET /%s HTTP/1.1\r\nHost: a\r\n\r\n"


class ServerInThread:
    """A worker that serves in a thread. `settings` are gunicorn's. `called` has the paths of all requests to its app.

    The app answers with the path and the body of the request: at /large two million times, at /held once `held` is
    done.
    """

    def __init__(self, **settings: Any) -> None:
        config = Config()
        for name, value in {"bind": "127.0.0.1:0", "graceful_timeout": 5, **settings}.items():
            config.set(name, value)
        log = Logger(config)
        self.sockets = create_sockets(config, log)
        self.address = self.sockets[0].getsockname()
        self.called: list[str] = []
        self.held: Future[None] = Future()
        self.worker = StoreWorker(1, os.getppid(), self.sockets, None, 30, config, log)
        self.worker.PIPE = list(os.pipe())
        for end in self.worker.PIPE:
            os.set_blocking(end, False)
        self.worker.wsgi = self._app
        self.thread = threading.Thread(target=self.worker.run, daemon=True)
        self.thread.start()

    def stop(self) -> None:
        self.worker.alive = False
        os.write(self.worker.PIPE[1], b"\0")
        self.thread.join(timeout=30)
        assert not self.thread.is_alive()
        scoreboard_of_this_tier().clear(self.worker.age)
        self.worker.tmp.close()
        for handler in [*self.worker.log.access_log.handlers]:
            self.worker.log.access_log.removeHandler(handler)
            handler.close()

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address, timeout=20)

    def ask(self, data: bytes) -> bytes:
        """Sends `data`, closes the sending direction, and returns all that the server sends."""
        with self.connect() as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            return read_all(connection)

    def states(self) -> list[State]:
        """Returns the states of all connections, in the order of the enum."""
        return sorted(
            (connection.state for connection in list(self.worker._connections)), key=lambda state: state.value
        )

    def unsent(self) -> int:
        """Returns the number of bytes that wait for slow clients."""
        return sum(len(connection.outbox) for connection in list(self.worker._connections))

    def _app(self, environ: dict[str, Any], start_response: Any) -> Any:
        path = environ["PATH_INFO"]
        self.called.append(path)

        def respond() -> list[bytes]:
            body = f"{path} {environ['wsgi.input'].read().decode()}".encode()
            if path == "/large":
                body *= 2_000_000
            start_response("200 OK", [("Content-Length", str(len(body)))])
            return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

        if path == "/held":
            return Deferred(self.held, Reply).respond_with(lambda _wait: respond())
        return respond()


@contextmanager
def running_server(**settings: Any) -> Iterator[ServerInThread]:
    """Runs a server with these settings of gunicorn. At the end it completes the answer to /held, and stops."""
    server = ServerInThread(**settings)
    try:
        yield server
    finally:
        if not server.held.done():
            server.held.set_result(None)
        server.stop()


def read_all(connection: socket.socket) -> bytes:
    """Returns all bytes until the server closes the connection."""
    received = b""
    while data := connection.recv(65536):
        received += data
    return received


def wait_for_states(server: ServerInThread, *states: State) -> None:
    """Waits until the connections of the server have these states, in the order of the enum."""
    wait_until(f"the connections are {states}", lambda: server.states() == list(states))
