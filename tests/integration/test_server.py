"""The server, by what it says to requests over a socket. It runs in this process, with an app of the tests."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.glogging import Logger
from gunicorn.sock import create_sockets

from server.connection import State
from server.scoreboard import scoreboard_of_this_tier
from server.worker import REQUEST_TIMEOUT_S, StoreWorker
from tests.support.waiting import wait_until
from wsgi_apps.reply import Deferred, Reply


class Server:
    """A worker that serves in a thread; `called` are the requests that its app has seen."""

    def __init__(self, **settings: Any) -> None:
        config = Config()
        for name, value in {"bind": "127.0.0.1:0", "graceful_timeout": 5, **settings}.items():
            config.set(name, value)
        log = Logger(config)
        self.sockets = create_sockets(config, log)
        self.address = self.sockets[0].getsockname()
        self.called: list[str] = []
        self.held: Future[None] = Future()  # what the app waits for at /held
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
        """All that comes back, up to the end of the connection, which the client half closes."""
        with self.connect() as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            return read_all(connection)

    def states(self) -> list[State]:
        return sorted(
            (connection.state for connection in list(self.worker._connections)), key=lambda state: state.value
        )

    def unsent(self) -> int:
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


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    if not server.held.done():
        server.held.set_result(None)
    server.stop()


def read_all(connection: socket.socket) -> bytes:
    got = b""
    while data := connection.recv(65536):
        got += data
    return got


def wait_for(server: Server, *states: State) -> None:
    wait_until(f"the connections are {states}", lambda: server.states() == list(states))


GET = b"GET /%s HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"HEAD\r\n\r\n", 400),
        (b"HEAD / HTTP/1.1\r\nHost: a\r\nbad header\r\n\r\n", 400),
        (b"HEAD / HTTP/1.1\r\n\r\n", 400),
        (b"HEAD /" + b"x" * 5_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"HEAD / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 9_000 + b"\r\n\r\n", 431),
        (b"HEAD / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 40_000, 431),
        (b"HEAD / HTTP/1.1\r\nHost: a\r\nExpect: more\r\n\r\n", 417),
        (b"HEAD / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        (b"HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 70000\r\n\r\n", 413),
        (b"HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab", 400),
        (b"HEAD / HTTP/1.1\nHost: a\n\n", 400),
    ],
)
def test_a_request_that_is_refused_before_the_app_is_told_so_and_a_head_without_a_body(
    server: Server, request_bytes: bytes, status: int
) -> None:
    get = server.ask(request_bytes.replace(b"HEAD", b"GET"))
    head = server.ask(request_bytes)
    for got in (get, head):
        assert int(got.split()[1]) == status
        assert b"\r\nDate: " in got
        assert b"\r\nConnection: close\r\n" in got
    assert get.partition(b"\r\n\r\n")[2].startswith(b'{"error"')
    if b" " in request_bytes[:5]:
        assert head.endswith(b"\r\n\r\n"), head
    assert server.called == []


def test_an_error_behind_a_head_has_a_body(server: Server) -> None:
    for error in (b"GET / HTTP/1.1\nHost: a\n\n", b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 40_000):
        got = server.ask(b"HEAD /h HTTP/1.1\r\nHost: a\r\n\r\n" + error)
        assert got.count(b"HTTP/1.1 ") == 2
        assert b'{"error"' in got


def test_a_later_minor_version_is_answered_as_the_one_that_is_spoken(server: Server) -> None:
    assert server.ask(b"GET /new HTTP/1.2\r\nHost: a\r\n\r\n").startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("length", [70_000, 10**17])
def test_nobody_is_told_to_send_a_body_that_is_too_large(server: Server, length: int) -> None:
    got = server.ask(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n" % length)
    assert got.startswith(b"HTTP/1.1 413 ")
    assert b" 100 " not in got


def test_who_holds_a_body_back_is_told_once_to_send_it(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(b"POST /b HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 4\r\n\r\n")
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        for at in range(4):
            connection.sendall(b"body"[at : at + 1])
            time.sleep(0.02)
        connection.shutdown(socket.SHUT_WR)
        assert read_all(connection).endswith(b"\r\n\r\n/b body")
    at_once = b"POST /b HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nbody"
    assert server.ask(at_once).startswith(b"HTTP/1.1 200 ")


def test_half_a_body_never_reaches_the_app(server: Server) -> None:
    got = server.ask(b"POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbod")
    assert got.startswith(b"HTTP/1.1 400 ")
    assert b"shorter than its Content-Length" in got
    assert server.called == []


def test_the_next_request_waits_until_the_last_is_answered(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(GET % b"held" + GET % b"next")
        wait_for(server, State.ANSWERING)
        time.sleep(0.05)
        assert server.called == ["/held"]
        server.held.set_result(None)
        connection.shutdown(socket.SHUT_WR)
        got = read_all(connection)
    assert server.called == ["/held", "/next"]
    assert got.index(b"/held ") < got.index(b"/next ")


def test_a_request_behind_one_that_closes_is_not_served(server: Server) -> None:
    got = server.ask(b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: TE, close\r\n\r\n" + GET % b"more")
    assert got.count(b"HTTP/1.1 ") == 1
    assert server.called == ["/last"]


def test_an_answer_for_a_client_that_has_gone_harms_nobody(server: Server) -> None:
    connection = server.connect()
    connection.sendall(GET % b"held")
    wait_for(server, State.ANSWERING)
    connection.close()
    server.held.set_result(None)
    wait_for(server)
    assert server.ask(GET % b"on").endswith(b"/on ")


def test_a_connection_is_idle_reads_answers_and_is_idle_again(server: Server) -> None:
    with server.connect() as connection:
        wait_for(server, State.IDLE)
        connection.sendall(b"\r\n")
        time.sleep(0.05)
        assert server.states() == [State.IDLE], "an empty line is no request"
        connection.sendall(b"GET /he")
        wait_for(server, State.READING)
        connection.sendall(b"ld HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_for(server, State.ANSWERING)
        server.held.set_result(None)
        wait_for(server, State.IDLE)
        connection.sendall(b"nonsense\r\n\r\n")
        wait_for(server, State.LINGERING)
    wait_for(server)


def test_the_access_log_tells_of_each_answer(tmp_path: Any) -> None:
    log = tmp_path / "access.log"
    server = Server(accesslog=str(log), access_log_format='%(m)s %(U)s %(s)s %(b)s "%(f)s" %({host}i)s')
    try:
        server.ask(b"POST /b HTTP/1.1\r\nHost: a\r\nReferer: r\r\nContent-Length: 4\r\n\r\nbody")
        server.ask(b"HEAD /h HTTP/1.1\r\nHost: a\r\n\r\n")
    finally:
        server.held.set_result(None)
        server.stop()
    assert log.read_text() == 'POST /b 200 7 "r" a\nHEAD /h 200 0 "-" a\n'


def test_the_hooks_of_the_settings_see_each_request() -> None:
    seen: list[tuple[str, object]] = []
    server = Server(
        pre_request=lambda _worker, request: seen.append(("before", request.environ["PATH_INFO"])),
        post_request=lambda _worker, _request, environ, response: seen.append((environ["PATH_INFO"], response.status)),
    )
    try:
        server.ask(GET % b"a")
    finally:
        server.held.set_result(None)
        server.stop()
    assert seen == [("before", "/a"), ("/a", "200 OK")]


def test_a_server_without_keep_alive_says_that_it_closes() -> None:
    server = Server(keepalive=0)
    try:
        assert b"\r\nConnection: close\r\n" in server.ask(GET % b"a")
    finally:
        server.held.set_result(None)
        server.stop()


def test_who_has_taken_nothing_for_longest_is_left_when_too_much_waits_for_slow_clients(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.worker.MAX_UNSENT_BYTES", 20_000_000)  # of up to three times 14 MB
    with server.connect() as first, server.connect() as second, server.connect() as third:
        for number, slow in enumerate((first, second, third), start=1):
            slow.sendall(GET % b"large")
            wait_until("it is slow", lambda: server.called.count("/large") == number)  # noqa: B023
        wait_until("what waits is less", lambda: server.unsent() <= 20_000_000)
        with suppress(ConnectionError):
            assert len(read_all(first)) < 14_000_000
        assert server.ask(GET % b"on").endswith(b"/on ")
        third.shutdown(socket.SHUT_WR)
        assert len(read_all(third)) > 14_000_000


def test_a_stopping_server_answers_what_it_has_and_says_that_it_closes(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(GET % b"held")
        wait_for(server, State.ANSWERING)
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        time.sleep(0.05)
        server.held.set_result(None)
        assert b"\r\nConnection: close\r\n" in read_all(connection)
        stopping.join()


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


def test_nobody_leaves_connections_to_a_worker_that_takes_no_more(server: Server) -> None:
    """Up to graceful_timeout long, its neighbours leave each new connection to it for 1 ms, and turn at full speed."""
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
