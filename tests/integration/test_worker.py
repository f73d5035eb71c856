"""The worker of a running catalog, under slow, pipelining, half-closed and absent clients."""

import json
import select
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests

from server.worker import REQUEST_TIMEOUT_S
from tests.support.patched_constants import gunicorn_files
from tests.support.raw_http import connect, read_replies
from tests.support.tiers import Tiers, products_file

GET = b"GET /products/Tux HTTP/1.1\r\nHost: a\r\n\r\n"
PAGE = b"GET /products HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tiers]:
    """A catalog with enough pieces for all tests."""
    folder = tmp_path_factory.mktemp("worker")
    products = products_file(folder, *(f"{name} 1.50 1000" for name in ("Tux", "Bird", "Elephant", "Whale")))
    tiers = Tiers(folder / "data", PRODUCTS=products)
    try:
        tiers.start("catalog")
        yield tiers
    finally:
        tiers.stop()


def quantity(tiers: Tiers, name: str) -> int:
    """Returns the stock of a product."""
    body = requests.get(f"{tiers.url('catalog')}/products/{name}", timeout=10).json()
    return int(body["data"]["quantity"])


def test_200_slow_clients_delay_no_other_and_get_408(catalog: Tiers) -> None:
    start = time.monotonic()
    with ExitStack() as stack:
        slow = [stack.enter_context(connect(catalog)) for _ in range(200)]
        for connection in slow:
            connection.sendall(GET[:20])
        for _ in range(20):
            assert quantity(catalog, "Tux") > 0
        answered, _, _ = select.select(slow, [], [], 0)
        assert answered == [] or time.monotonic() - start >= REQUEST_TIMEOUT_S, (
            "a slow client was answered before its timeout"
        )
        for connection in slow:
            [(status, body)] = read_replies(connection, 2)
            assert (status, json.loads(body)["error"]["message"]) == (408, "the request did not come in time")


def test_a_request_may_come_byte_by_byte(catalog: Tiers) -> None:
    request = b"POST /Tux/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n{} "
    with connect(catalog) as connection:
        for at in range(len(request)):
            connection.sendall(request[at : at + 1])
            time.sleep(0.001)
        assert read_replies(connection, 1)[0][0] == 200


@pytest.mark.parametrize("count", [3, 1500])
def test_requests_sent_at_once_are_answered_in_their_order(catalog: Tiers, count: int) -> None:
    names = ["Tux", "Bird", "Nix"]
    with connect(catalog) as connection:
        connection.sendall(b"".join(GET.replace(b"Tux", names[at % 3].encode()) for at in range(count)))
        replies = read_replies(connection, count)
    for at, (status, body) in enumerate(replies):
        assert (status, names[at % 3].encode() in body) == ((404, False) if at % 3 == 2 else (200, True))
    assert len(replies) == count


def test_a_request_directly_after_a_body_is_answered_by_itself(catalog: Tiers) -> None:
    before = quantity(catalog, "Elephant")
    with connect(catalog) as connection:
        connection.sendall(b"POST /Elephant/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n{} " + GET)
        assert [status for status, _ in read_replies(connection, 2)] == [200, 200]
    assert quantity(catalog, "Elephant") == before - 1


@pytest.mark.parametrize("first", [b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n", GET.replace(b"Tux", b"Nix"), PAGE])
@pytest.mark.parametrize("then", ["nothing", "half a request", "a half-close"])
def test_a_pipelined_buy_happens_once(catalog: Tiers, first: bytes, then: str) -> None:
    """The worker has both requests already when more bytes of the connection come."""
    before = quantity(catalog, "Bird")
    for _ in range(10):
        with connect(catalog) as connection:
            connection.sendall(first + b"POST /Bird/1 HTTP/1.1\r\nHost: a\r\n\r\n")
            if then == "a half-close":
                connection.shutdown(socket.SHUT_WR)
            elif then == "half a request":
                connection.sendall(GET[:10])
            assert read_replies(connection, 2)[1] == (200, b'{"message": "order has been placed"}\n')
    assert quantity(catalog, "Bird") == before - 10
    assert "Traceback" not in catalog.log.read_text()


def test_a_line_end_after_a_body_is_not_read_as_a_request(catalog: Tiers) -> None:
    post = b"POST /Tux/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n{} \r\n"
    with connect(catalog) as connection:
        for _ in range(3):
            connection.sendall(post)
            assert read_replies(connection, 1)[0][0] == 200
        time.sleep(0.2)
        connection.sendall(GET)
        assert read_replies(connection, 1)[0][0] == 200


def test_a_client_that_has_closed_its_sending_direction_is_answered(catalog: Tiers) -> None:
    for request in (GET, b"POST /Tux/1 HTTP/1.1\r\nHost: a\r\n\r\n", GET + GET):
        with connect(catalog) as connection:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            assert {status for status, _ in read_replies(connection, 3)} == {200}


def connect_with_small_buffer(tiers: Tiers) -> socket.socket:
    """Opens a connection with a small receive buffer, which unread replies soon fill."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    connection.settimeout(60)
    connection.connect(("127.0.0.1", tiers.ports["catalog"]))
    return connection


def test_a_client_that_reads_late_delays_no_other_and_gets_all_replies(tmp_path: Path) -> None:
    count = 5_000  # their replies are larger than the kernel's buffers
    tiers = Tiers(tmp_path / "data", gunicorn_files(tmp_path, server__worker__RESPONSE_TIMEOUT_S=600.0))
    try:
        tiers.start("catalog")
        with connect_with_small_buffer(tiers) as connection:
            sending = threading.Thread(target=connection.sendall, args=(PAGE * count,))
            sending.start()
            for _ in range(20):
                assert quantity(tiers, "Tux") > 0
            replies = read_replies(connection, count)
            sending.join()
    finally:
        tiers.stop()
    assert len(replies) == count
    assert {status for status, _ in replies} == {200}
    assert len({body for _, body in replies}) == 1


def test_a_head_that_does_not_end_is_refused(catalog: Tiers) -> None:
    lines = b"".join(b"H%d: %s\r\n" % (number, b"x" * 4000) for number in range(10))
    with connect(catalog) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n" + lines)
        [(status, body)] = read_replies(connection, 2)
    assert (status, json.loads(body)["error"]["code"]) == (431, 431)


def test_a_client_that_expects_100_continue_gets_it(catalog: Tiers) -> None:
    with connect(catalog) as connection:
        connection.sendall(b"POST /Tux/1 HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        assert connection.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"{} ")
        assert read_replies(connection, 1)[0][0] == 200


def test_a_client_of_http_1_0_is_answered_and_its_connection_closed(catalog: Tiers) -> None:
    with connect(catalog) as connection:
        connection.sendall(b"GET /products/Tux HTTP/1.0\r\n\r\n")
        assert [status for status, _ in read_replies(connection, 2)] == [200]


def test_a_client_that_resets_its_connection_during_a_buy_causes_no_error(catalog: Tiers) -> None:
    before = quantity(catalog, "Whale")
    for _ in range(30):
        with connect(catalog) as connection:
            connection.sendall(b"POST /Whale/1 HTTP/1.1\r\nHost: a\r\n\r\n")
            # With no time to linger, close sends a reset.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert before - 30 <= quantity(catalog, "Whale") <= before
    assert "Traceback" not in catalog.log.read_text()


def test_a_client_that_never_reads_loses_its_connection(tmp_path: Path) -> None:
    """Otherwise it would keep a connection, and its replies in memory, for ever."""
    tiers = Tiers(tmp_path / "data", gunicorn_files(tmp_path, server__worker__RESPONSE_TIMEOUT_S=2.0))
    try:
        tiers.start("catalog")
        with connect_with_small_buffer(tiers) as connection, pytest.raises((ConnectionResetError, BrokenPipeError)):
            while True:
                connection.sendall(PAGE * 1_000)
    finally:
        tiers.stop()
