"""The worker, by what clients do to it: dawdle, hurry, hang up, listen with half an ear."""

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
from tests.support.constants import gunicorn_files
from tests.support.raw_http import connect, read_replies
from tests.support.tiers import Tiers, products_file

GET = b"GET /products/Tux HTTP/1.1\r\nHost: a\r\n\r\n"
PAGE = b"GET /products HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tiers]:
    folder = tmp_path_factory.mktemp("worker")
    products = products_file(folder, *(f"{name} 1.50 1000" for name in ("Tux", "Bird", "Elephant", "Whale")))
    tiers = Tiers(folder / "data", PRODUCTS=products)
    try:
        tiers.start("catalog")
        yield tiers
    finally:
        tiers.stop()


def quantity(tiers: Tiers, name: str) -> int:
    body = requests.get(f"{tiers.url('catalog')}/products/{name}", timeout=10).json()
    return int(body["data"]["quantity"])


def test_200_dawdling_clients_hold_up_nobody_and_are_told_so(catalog: Tiers) -> None:
    begun = time.monotonic()
    with ExitStack() as stack:
        slow = [stack.enter_context(connect(catalog)) for _ in range(200)]
        for connection in slow:
            connection.sendall(GET[:20])
        for _ in range(20):
            assert quantity(catalog, "Tux") > 0
        told, _, _ = select.select(slow, [], [], 0)
        assert told == [] or time.monotonic() - begun >= REQUEST_TIMEOUT_S, "they still had time"
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
        got = read_replies(connection, count)
    for at, (status, body) in enumerate(got):
        assert (status, names[at % 3].encode() in body) == ((404, False) if at % 3 == 2 else (200, True))
    assert len(got) == count


def test_a_request_behind_a_body_is_its_own(catalog: Tiers) -> None:
    before = quantity(catalog, "Elephant")
    with connect(catalog) as connection:
        connection.sendall(b"POST /Elephant/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n{} " + GET)
        assert [status for status, _ in read_replies(connection, 2)] == [200, 200]
    assert quantity(catalog, "Elephant") == before - 1


@pytest.mark.parametrize("behind", [b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n", GET.replace(b"Tux", b"Nix"), PAGE])
@pytest.mark.parametrize("last", ["nothing", "half a request", "the end"])
def test_a_buy_behind_another_request_happens_once(catalog: Tiers, behind: bytes, last: str) -> None:
    """It is in the worker's hands already when more of its connection comes."""
    before = quantity(catalog, "Bird")
    for _ in range(10):
        with connect(catalog) as connection:
            connection.sendall(behind + b"POST /Bird/1 HTTP/1.1\r\nHost: a\r\n\r\n")
            if last == "the end":
                connection.shutdown(socket.SHUT_WR)
            elif last == "half a request":
                connection.sendall(GET[:10])
            assert read_replies(connection, 2)[1] == (200, b'{"message": "order has been placed"}\n')
    assert quantity(catalog, "Bird") == before - 10
    assert "Traceback" not in catalog.log.read_text()


def test_a_line_end_behind_a_body_is_no_request(catalog: Tiers) -> None:
    post = b"POST /Tux/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n{} \r\n"
    with connect(catalog) as connection:
        for _ in range(3):
            connection.sendall(post)
            assert read_replies(connection, 1)[0][0] == 200
        time.sleep(0.2)
        connection.sendall(GET)
        assert read_replies(connection, 1)[0][0] == 200


def test_a_client_that_has_said_its_last_word_is_answered(catalog: Tiers) -> None:
    for request in (GET, b"POST /Tux/1 HTTP/1.1\r\nHost: a\r\n\r\n", GET + GET):
        with connect(catalog) as connection:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            assert {status for status, _ in read_replies(connection, 3)} == {200}


def with_little_room(tiers: Tiers) -> socket.socket:
    """A connection of a client whose end takes few replies that it does not read."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    connection.settimeout(60)
    connection.connect(("127.0.0.1", tiers.ports["catalog"]))
    return connection


def test_a_client_that_does_not_read_holds_up_nobody_and_gets_all_of_it(tmp_path: Path) -> None:
    count = 5_000  # whose replies are more than the kernel's buffers take
    tiers = Tiers(tmp_path / "data", gunicorn_files(tmp_path, server__worker__RESPONSE_TIMEOUT_S=600.0))
    try:
        tiers.start("catalog")
        with with_little_room(tiers) as connection:
            sending = threading.Thread(target=connection.sendall, args=(PAGE * count,))
            sending.start()
            for _ in range(20):
                assert quantity(tiers, "Tux") > 0
            got = read_replies(connection, count)
            sending.join()
    finally:
        tiers.stop()
    assert len(got) == count
    assert {status for status, _ in got} == {200}
    assert len({body for _, body in got}) == 1


def test_a_head_that_does_not_end_is_refused(catalog: Tiers) -> None:
    lines = b"".join(b"H%d: %s\r\n" % (number, b"x" * 4000) for number in range(10))
    with connect(catalog) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n" + lines)
        [(status, body)] = read_replies(connection, 2)
    assert (status, json.loads(body)["error"]["code"]) == (431, 431)


def test_who_asks_before_sending_a_body_is_told_to_go_on(catalog: Tiers) -> None:
    with connect(catalog) as connection:
        connection.sendall(b"POST /Tux/1 HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        assert connection.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"{} ")
        assert read_replies(connection, 1)[0][0] == 200


def test_an_old_client_is_answered_and_left(catalog: Tiers) -> None:
    with connect(catalog) as connection:
        connection.sendall(b"GET /products/Tux HTTP/1.0\r\n\r\n")
        assert [status for status, _ in read_replies(connection, 2)] == [200]


def test_a_client_that_hangs_up_in_the_middle_of_a_buy_harms_nobody(catalog: Tiers) -> None:
    before = quantity(catalog, "Whale")
    for _ in range(30):
        with connect(catalog) as connection:
            connection.sendall(b"POST /Whale/1 HTTP/1.1\r\nHost: a\r\n\r\n")
            # Linger for no time: close sends a reset.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert before - 30 <= quantity(catalog, "Whale") <= before
    assert "Traceback" not in catalog.log.read_text()


def test_a_client_that_never_reads_is_left(tmp_path: Path) -> None:
    """Else each would keep a connection, and its replies in memory, for ever."""
    tiers = Tiers(tmp_path / "data", gunicorn_files(tmp_path, server__worker__RESPONSE_TIMEOUT_S=2.0))
    try:
        tiers.start("catalog")
        with with_little_room(tiers) as connection, pytest.raises((ConnectionResetError, BrokenPipeError)):
            while True:
                connection.sendall(PAGE * 1_000)
    finally:
        tiers.stop()
