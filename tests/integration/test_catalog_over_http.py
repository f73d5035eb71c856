"""A running catalog tier over HTTP: every reply is JSON, and a refused request buys nothing."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import requests

from tests.support.tiers import Tiers
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tiers]:
    """A catalog with two workers."""
    tiers = Tiers(tmp_path_factory.mktemp("integration") / "data", CATALOG_WORKERS="2", CATALOG_THREADS="4")
    try:
        tiers.start("catalog")
        yield tiers
    finally:
        tiers.stop()


def exchange(tiers: Tiers, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """Sends raw bytes. Returns status, headers and body of the reply."""
    with socket.create_connection(("127.0.0.1", tiers.ports["catalog"]), timeout=60) as connection:
        connection.sendall(request)
        stream = connection.makefile("rb")
        status = int(stream.readline().split()[1])
        headers = {}
        while (line := stream.readline().strip()) != b"":
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        body = stream.read(int(headers["content-length"]))
        stream.close()
    return status, headers, body


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /products/Tux HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        (b"POST /Tux/1 HTTP/1.1\r\nHost: a\r\n\r\n", 200),  # neither Content-Length nor Transfer-Encoding: no body
        (b"POST /Tux/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n{} ", 200),  # an empty JSON object
        (b"POST /Tux/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", 400),
        (b"POST /Tux/1?hold=10m HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"POST /Tux/1? HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Type: a/b\r\n\r\n", 200),
        (b"GET /products/Tux HTTP/1.1\r\nHost: a\r\nScript-Name: /foo\r\n\r\n", 200),
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (b"GET /products/\xff HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /products/%FF HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET //1 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /products/Tux HTTP/1.1\r\nHost: a\r\nBad Header: x\r\n\r\n", 400),
        (b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\n" + b"".join(b"H%d: x\r\n" % number for number in range(70)) + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\nLong: " + b"x" * 9000 + b"\r\n\r\n", 431),
        (b"POST /Tux/1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", 411),
        (b"POST /Tux/1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 411),
        (b"POST /Tux/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n" + b"x" * 65537, 413),
        (b"POST /Tux/1 HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /Tux/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
        (b"TRACE /Tux/1 HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    ],
    ids=lambda value: value[:60] if isinstance(value, bytes) else str(value),
)
def test_every_reply_is_json_and_every_error_has_one_form(catalog: Tiers, request_bytes: bytes, status: int) -> None:
    given, headers, body = exchange(catalog, request_bytes)
    assert (given, headers["content-type"]) == (status, "application/json")
    assert headers["x-content-type-options"] == "nosniff"
    assert body.endswith(b"}\n") and body.count(b"\n") == 1
    assert int(headers["content-length"]) == len(body)
    reply = json.loads(body)
    if status != 200:
        assert list(reply) == ["error"]
        assert reply["error"]["code"] == status
        assert reply["error"]["message"]


def test_a_refused_request_buys_nothing_and_the_tier_still_answers(catalog: Tiers) -> None:
    url = catalog.url("catalog")
    before = requests.get(url + "/products/Bird", timeout=60).json()["data"]["quantity"]
    for request in (
        b"POST /Bird/1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        b"POST /Bird/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 99999\r\n\r\n" + b"x" * 99999,
        b"POST /Bird/0 HTTP/1.1\r\nHost: a\r\n\r\n",
    ):
        assert exchange(catalog, request)[0] in (400, 411, 413)
    assert requests.get(url + "/products/Bird", timeout=60).json()["data"]["quantity"] == before


def test_a_body_cut_short_buys_nothing(catalog: Tiers) -> None:
    with socket.create_connection(("127.0.0.1", catalog.ports["catalog"]), timeout=60) as connection:
        connection.sendall(b"POST /Elephant/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
        connection.shutdown(socket.SHUT_WR)
        reply = connection.recv(4096)
    assert reply.startswith(b"HTTP/1.1 400 ")
    url = catalog.url("catalog") + "/products/Elephant"
    assert requests.get(url, timeout=60).json()["data"]["quantity"] == 87


def test_connections_are_kept_alive(catalog: Tiers) -> None:
    with requests.Session() as session:
        for _ in range(3):
            response = session.get(catalog.url("catalog") + "/products/Tux", timeout=60)
            assert response.headers["Connection"] == "keep-alive"


def test_two_workers_sell_an_idempotency_key_once(catalog: Tiers) -> None:
    # gunicorn starts the workers one after the other.
    wait_until("there are two workers", lambda: len(catalog.workers("catalog")) >= 2)
    before = requests.get(catalog.url("catalog") + "/products/Whale", timeout=60).json()["data"]["quantity"]
    for _ in range(20):  # each over a new connection, so that both workers get some
        response = requests.post(catalog.url("catalog") + "/Whale/1", headers={"Idempotency-Key": "once"}, timeout=60)
        assert response.json() == {"message": "order has been placed"}
    after = requests.get(catalog.url("catalog") + "/products/Whale", timeout=60).json()["data"]["quantity"]
    assert after == before - 1


def test_a_malformed_chunked_body_gets_one_response(catalog: Tiers) -> None:
    with socket.create_connection(("127.0.0.1", catalog.ports["catalog"]), timeout=60) as connection:
        connection.sendall(b"POST /Tux/1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n")
        replies = b""
        while chunk := connection.recv(4096):
            replies += chunk
    assert replies.startswith(b"HTTP/1.1 411 ")
    assert replies.count(b"HTTP/1.1 ") == 1


def test_a_body_that_does_not_come_is_answered_with_408(catalog: Tiers) -> None:
    """Otherwise eight such clients would hold the threads of both workers for ever."""
    with ExitStack() as stack:
        slow = [
            stack.enter_context(socket.create_connection(("127.0.0.1", catalog.ports["catalog"]), timeout=60))
            for _ in range(8)
        ]
        for connection in slow:
            connection.sendall(b"POST /Tux/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
        assert requests.get(catalog.url("catalog") + "/products/Tux", timeout=60).status_code == 200
        assert slow[0].recv(4096).startswith(b"HTTP/1.1 408 ")
