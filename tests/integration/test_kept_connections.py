"""The connections that the client of a tier keeps for its next calls."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from domain.errors import Unavailable
from domain.values import Buy
from wsgi_apps.clients import HttpCatalog, HttpOrders
from wsgi_apps.tier_client import TierClient

PATIENCE_S = 60.0


class Orders(ThreadingHTTPServer):
    """Shows any order, over connections that it keeps. It holds each reply to `held` back when half of it is told."""

    daemon_threads = True

    def __init__(self, held: str = "") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.held = held
        self.asked: list[str] = []
        self.connections: set[Any] = set()
        self.half_way, self.go_on = threading.Event(), threading.Event()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Orders

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.server.connections.add(self.client_address)
        order = {"order_number": self.path.rpartition("/")[2], "name": "Tux", "quantity": 2, "price": 1, "time": "now"}
        body = json.dumps({"data": order}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:9])
        if self.path == self.server.held:
            self.server.half_way.set()
            self.server.go_on.wait(PATIENCE_S)
        self.wfile.write(body[9:])

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def asked(server: Orders) -> Iterator[TierClient]:
    """A client of this server."""
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    client = TierClient("order tier", "127.0.0.1", server.server_port, deadline_s=PATIENCE_S)
    try:
        yield client
    finally:
        server.go_on.set()
        client.close()
        server.shutdown()
        thread.join()
        server.server_close()


def test_calls_one_after_the_other_share_a_connection() -> None:
    server = Orders()
    with asked(server) as client:
        assert [HttpOrders(client).order(number).number for number in range(5)] == list(range(5))
    assert len(server.connections) == 1


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the client waited before it asked again, each time that it had to. It does not wait."""
    pauses: list[float] = []
    monkeypatch.setattr("wsgi_apps.tier_client.time.sleep", pauses.append)
    return pauses


def test_a_connection_is_nobody_elses_before_its_reply_is_read(pauses: list[float]) -> None:
    """Else the next call would get the rest of this one's reply."""
    server = Orders(held="/orders/1")
    with asked(server) as client, ThreadPoolExecutor(1) as pool:
        first = pool.submit(HttpOrders(client).order, 1)
        try:
            assert server.half_way.wait(PATIENCE_S)
            assert HttpOrders(client).order(2).number == 2
        finally:
            server.go_on.set()
        assert first.result().number == 1
        assert HttpOrders(client).order(3).number == 3
    assert server.asked == ["/orders/1", "/orders/2", "/orders/3"]
    assert len(server.connections) == 2
    assert pauses == [], "nobody had to ask twice"


def test_after_one_dead_connection_none_of_its_age_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tier that was restarted has ended all of them, and each would cost a try."""
    tried: list[bool] = []
    take = TierClient._connection

    def counting(client: TierClient) -> Any:
        connection, is_kept = take(client)
        tried.append(is_kept)
        return connection, is_kept

    with asked(Orders()) as client:
        for number in range(3):
            idle, client._idle = client._idle, []  # so that each call takes a new one
            HttpOrders(client).order(number)
            client._idle += idle
        assert len(client._idle) == 3
        for connection in client._idle:
            assert connection.sock is not None
            connection.sock.close()
        monkeypatch.setattr(TierClient, "_connection", counting)
        assert HttpOrders(client).order(7).number == 7
    assert tried == [True, False]


@pytest.mark.parametrize("answers", [0, 1, 3])
def test_another_number_of_answers_than_of_questions_answers_none(
    monkeypatch: pytest.MonkeyPatch, answers: int
) -> None:
    client = TierClient("catalog", "127.0.0.1", 1, deadline_s=PATIENCE_S)
    monkeypatch.setattr(client, "call", lambda *_, **__: (200, {"data": [1] * answers}))
    with pytest.raises(Unavailable):
        HttpCatalog(client).sell([Buy("a", "Tux", 1), Buy("b", "Tux", 1)])
