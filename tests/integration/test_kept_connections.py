"""The client of a tier keeps its connections for later calls."""

import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from domain.errors import Unavailable
from domain.values import Buy
from tests.support.tier_calls import PAGE
from wsgi_apps.clients import HttpCatalog, HttpOrders
from wsgi_apps.tier_addresses import TierAddress
from wsgi_apps.tier_client import TierClient

TIMEOUT_S = 60.0


class OrderTierStub(ThreadingHTTPServer):
    """An order tier that has every order. It stops in the middle of each reply to the path `held` until `go_on`.

    `paths` has the paths of all requests, and `connections` the addresses of all clients.
    """

    daemon_threads = True

    def __init__(self, held: str = "") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.held = held
        self.paths: list[str] = []
        self.connections: set[Any] = set()
        self.is_half_sent, self.go_on = threading.Event(), threading.Event()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: OrderTierStub

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        self.server.connections.add(self.client_address)
        order = {"order_number": self.path.rpartition("/")[2], "name": "Tux", "quantity": 2, "price": 1, "time": "now"}
        body = json.dumps({"data": order}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:9])
        if self.path == self.server.held:
            self.server.is_half_sent.set()
            self.server.go_on.wait(TIMEOUT_S)
        self.wfile.write(body[9:])

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def client_of(server: OrderTierStub) -> Iterator[TierClient]:
    """Runs the server and yields a client of it."""
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    client = TierClient("order tier", [("127.0.0.1", server.server_port)], deadline_s=TIMEOUT_S)
    try:
        yield client
    finally:
        server.go_on.set()
        client.close()
        server.shutdown()
        thread.join()
        server.server_close()


def test_successive_calls_share_a_connection() -> None:
    server = OrderTierStub()
    with client_of(server) as client:
        assert [HttpOrders(client).order(number).number for number in range(5)] == list(range(5))
    assert len(server.connections) == 1


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Collects the pauses of the client between two tries, which take no time here."""
    pauses: list[float] = []
    monkeypatch.setattr("wsgi_apps.tier_client.time.sleep", pauses.append)
    return pauses


def test_a_connection_is_not_reused_before_its_reply_is_read(pauses: list[float]) -> None:
    """Otherwise the next call would read the rest of this reply."""
    server = OrderTierStub(held="/orders/1")
    with client_of(server) as client, ThreadPoolExecutor(1) as pool:
        first = pool.submit(HttpOrders(client).order, 1)
        try:
            assert server.is_half_sent.wait(TIMEOUT_S)
            assert HttpOrders(client).order(2).number == 2
        finally:
            server.go_on.set()
        assert first.result().number == 1
        assert HttpOrders(client).order(3).number == 3
    assert server.paths == ["/orders/1", "/orders/2", "/orders/3"]
    assert len(server.connections) == 2
    assert pauses == [], "a call was repeated"


def test_after_one_dead_connection_the_next_try_opens_a_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A restarted tier has closed all kept connections. Otherwise each of them would cost a try."""
    were_kept: list[bool] = []
    take = TierAddress.connection

    def recording(address: TierAddress) -> Any:
        connection, is_kept = take(address)
        were_kept.append(is_kept)
        return connection, is_kept

    with client_of(OrderTierStub()) as client:
        [address] = client._addresses.all
        for number in range(3):
            idle, address._idle = address._idle, []  # each call opens a new connection
            HttpOrders(client).order(number)
            address._idle += idle
        assert len(address._idle) == 3
        for connection in address._idle:
            assert connection.sock is not None
            connection.sock.close()
        monkeypatch.setattr(TierAddress, "connection", recording)
        assert HttpOrders(client).order(7).number == 7
    assert were_kept == [True, False]


@pytest.mark.parametrize("answers", [0, 1, 3])
def test_a_reply_with_a_wrong_number_of_answers_is_unavailable(monkeypatch: pytest.MonkeyPatch, answers: int) -> None:
    client = TierClient("catalog", [("127.0.0.1", 1)], deadline_s=TIMEOUT_S)
    monkeypatch.setattr(client, "call", lambda *_, **__: (200, {"data": [1] * answers}))
    with pytest.raises(Unavailable):
        HttpCatalog(client).sell([Buy("a", "Tux", 1), Buy("b", "Tux", 1)])


def test_a_dead_kept_connection_is_replaced_at_once_even_for_a_page() -> None:
    """A tier may close a kept connection at any time. The client notices that only at the next use."""
    requests: list[bytes] = []
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(PAGE)

    def answer_and_close(server: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                with connection:
                    requests.append(connection.recv(65536))
                    connection.sendall(head + PAGE)

    server = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=answer_and_close, args=(server,))
    thread.start()
    with closing(TierClient("catalog", [("127.0.0.1", server.getsockname()[1])], deadline_s=20.0)) as client:
        for _ in range(5):
            assert HttpCatalog(client).products(q="", after="", limit=10) == PAGE
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join()
    assert len(requests) == 5, "a request was repeated"
