"""The worker over a socket, in a thread of the test process, with the app of tests/support/server_in_thread.py."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from server.connection import State
from server.scoreboard import scoreboard_of_this_tier
from server.worker import REQUEST_TIMEOUT_S
from tests.support.server_in_thread import GET, ServerInThread, read_all, running_server, wait_for_states
from tests.support.waiting import wait_until


@pytest.fixture
def server() -> Iterator[ServerInThread]:
    with running_server() as server:
        yield server


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
def test_a_refused_request_is_answered_with_an_error_and_a_head_with_no_body(
    server: ServerInThread, request_bytes: bytes, status: int
) -> None:
    get = server.ask(request_bytes.replace(b"HEAD", b"GET"))
    head = server.ask(request_bytes)
    for reply in (get, head):
        assert int(reply.split()[1]) == status
        assert b"\r\nDate: " in reply
        assert b"\r\nConnection: close\r\n" in reply
    assert get.partition(b"\r\n\r\n")[2].startswith(b'{"error"')
    if b" " in request_bytes[:5]:  # a request line without a blank has no method
        assert head.endswith(b"\r\n\r\n"), head
    assert server.called == []


def test_an_error_after_a_head_request_has_a_body(server: ServerInThread) -> None:
    for error in (b"GET / HTTP/1.1\nHost: a\n\n", b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 40_000):
        reply = server.ask(b"HEAD /h HTTP/1.1\r\nHost: a\r\n\r\n" + error)
        assert reply.count(b"HTTP/1.1 ") == 2
        assert b'{"error"' in reply


def test_a_higher_minor_version_is_answered_with_http_1_1(server: ServerInThread) -> None:
    assert server.ask(b"GET /new HTTP/1.2\r\nHost: a\r\n\r\n").startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("length", [70_000, 10**17])
def test_100_continue_is_not_sent_for_a_body_that_is_too_large(server: ServerInThread, length: int) -> None:
    reply = server.ask(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n" % length)
    assert reply.startswith(b"HTTP/1.1 413 ")
    assert b" 100 " not in reply


def test_100_continue_is_sent_once(server: ServerInThread) -> None:
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


def test_a_request_with_half_a_body_never_reaches_the_app(server: ServerInThread) -> None:
    reply = server.ask(b"POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbod")
    assert reply.startswith(b"HTTP/1.1 400 ")
    assert b"shorter than its Content-Length" in reply
    assert server.called == []


def test_a_pipelined_request_waits_until_the_one_before_is_answered(server: ServerInThread) -> None:
    with server.connect() as connection:
        connection.sendall(GET % b"held" + GET % b"next")
        wait_for_states(server, State.ANSWERING)
        time.sleep(0.05)
        assert server.called == ["/held"]
        server.held.set_result(None)
        connection.shutdown(socket.SHUT_WR)
        reply = read_all(connection)
    assert server.called == ["/held", "/next"]
    assert reply.index(b"/held ") < reply.index(b"/next ")


def test_a_request_after_connection_close_is_not_served(server: ServerInThread) -> None:
    reply = server.ask(b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: TE, close\r\n\r\n" + GET % b"more")
    assert reply.count(b"HTTP/1.1 ") == 1
    assert server.called == ["/last"]


def test_an_answer_for_a_client_that_has_hung_up_is_dropped(server: ServerInThread) -> None:
    connection = server.connect()
    connection.sendall(GET % b"held")
    wait_for_states(server, State.ANSWERING)
    connection.close()
    server.held.set_result(None)
    wait_for_states(server)
    assert server.ask(GET % b"on").endswith(b"/on ")


def test_a_connection_passes_through_its_states(server: ServerInThread) -> None:
    with server.connect() as connection:
        wait_for_states(server, State.IDLE)
        connection.sendall(b"\r\n")
        time.sleep(0.05)
        assert server.states() == [State.IDLE], "an empty line is no request"
        connection.sendall(b"GET /he")
        wait_for_states(server, State.READING)
        connection.sendall(b"ld HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_for_states(server, State.ANSWERING)
        server.held.set_result(None)
        wait_for_states(server, State.IDLE)
        connection.sendall(b"nonsense\r\n\r\n")
        wait_for_states(server, State.LINGERING)
    wait_for_states(server)


def test_the_access_log_has_a_line_for_each_response(tmp_path: Any) -> None:
    log = tmp_path / "access.log"
    log_format = '%(m)s %(U)s %(s)s %(b)s "%(f)s" %({host}i)s'
    with running_server(accesslog=str(log), access_log_format=log_format) as server:
        server.ask(b"POST /b HTTP/1.1\r\nHost: a\r\nReferer: r\r\nContent-Length: 4\r\n\r\nbody")
        server.ask(b"HEAD /h HTTP/1.1\r\nHost: a\r\n\r\n")
    assert log.read_text() == 'POST /b 200 7 "r" a\nHEAD /h 200 0 "-" a\n'


def test_the_request_hooks_of_the_settings_are_called() -> None:
    seen: list[tuple[str, object]] = []
    with running_server(
        pre_request=lambda _worker, request: seen.append(("before", request.environ["PATH_INFO"])),
        post_request=lambda _worker, _request, environ, response: seen.append((environ["PATH_INFO"], response.status)),
    ) as server:
        server.ask(GET % b"a")
    assert seen == [("before", "/a"), ("/a", "200 OK")]


def test_a_server_without_keep_alive_sends_connection_close() -> None:
    with running_server(keepalive=0) as server:
        assert b"\r\nConnection: close\r\n" in server.ask(GET % b"a")


def test_the_slowest_client_is_dropped_when_unsent_responses_use_too_much_memory(
    server: ServerInThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.worker.MAX_UNSENT_BYTES", 20_000_000)  # three responses have 42 MB
    with server.connect() as first, server.connect() as second, server.connect() as third:
        for number, slow in enumerate((first, second, third), start=1):
            slow.sendall(GET % b"large")
            wait_until("the app has the request", lambda: server.called.count("/large") == number)  # noqa: B023
        wait_until("the unsent bytes are below the limit", lambda: server.unsent() <= 20_000_000)
        with suppress(ConnectionError):
            assert len(read_all(first)) < 14_000_000
        assert server.ask(GET % b"on").endswith(b"/on ")
        third.shutdown(socket.SHUT_WR)
        assert len(read_all(third)) > 14_000_000


def test_a_stopping_server_answers_requests_under_way_and_sends_connection_close(server: ServerInThread) -> None:
    with server.connect() as connection:
        connection.sendall(GET % b"held")
        wait_for_states(server, State.ANSWERING)
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        time.sleep(0.05)
        server.held.set_result(None)
        assert b"\r\nConnection: close\r\n" in read_all(connection)
        stopping.join()


def test_line_ends_before_a_request_do_not_extend_its_timeout(server: ServerInThread) -> None:
    """An empty line in two halves must not make a new client an idle one.

    A new client has 5 s for its first request, an idle one 75 s. The client that is idle for the shortest time is also
    the last to be evicted.
    """
    with server.connect() as connection:
        wait_for_states(server, State.IDLE)
        [kept] = server.worker._connections
        start = time.monotonic()
        connection.sendall(b"\r")
        time.sleep(0.05)
        connection.sendall(b"\n")
        time.sleep(0.05)
        assert server.states() == [State.IDLE]
        assert kept.deadline is not None
        assert kept.deadline - start <= REQUEST_TIMEOUT_S + 1.0


def test_no_worker_backs_off_for_one_that_is_stopping(server: ServerInThread) -> None:
    """Otherwise, for up to graceful_timeout, the others would leave it each new connection for 1 ms in a busy loop."""
    with server.connect() as connection:
        connection.sendall(GET % b"held")
        wait_for_states(server, State.ANSWERING)
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        time.sleep(0.3)
        others_back_off = scoreboard_of_this_tier().has_fewer_than(5)
        server.held.set_result(None)
        stopping.join()
    assert not others_back_off
