"""The client of a tier against a tier that misbehaves on purpose."""

import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from itertools import pairwise
from typing import Any

import pytest
from werkzeug.serving import make_server
from werkzeug.test import Client
from werkzeug.wrappers import Request, Response

from domain.errors import ProductNotFound, Unavailable
from domain.values import Buy, Sold
from tests.integration.test_clients import BUY, PAGE
from tests.support.stub_server import patient, says, tier
from tests.support.tiers import free_port
from wsgi_apps.bearer_auth import encode_authorization
from wsgi_apps.clients import HttpCatalog, HttpOrders
from wsgi_apps.front_end import FrontEndApp
from wsgi_apps.retries import LONGEST_RETRY_AFTER_S
from wsgi_apps.tier_client import TierClient


@contextmanager
def absent() -> Iterator[TierClient]:
    """A client of a tier that is away."""
    with closing(TierClient("catalog", "127.0.0.1", free_port(), deadline_s=30.0)) as client:
        yield client


@contextmanager
def deaf_port() -> Iterator[int]:
    """A port that does not even refuse: its line of connections is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, socket.create_connection(server.getsockname()):
        yield server.getsockname()[1]


def test_a_failing_tier_is_asked_again_under_the_same_key() -> None:
    keys: list[str] = []

    def answer(request: Request) -> Response:
        keys.extend(key for key, _name, _quantity in request.json)
        if len(keys) < 3:
            return says(503, {"error": {"code": 503, "message": Unavailable.message}})(request)
        return says(200, {"data": [0]})(request)

    with tier(answer) as client:
        assert HttpOrders(client).place_all([BUY]) == [0]
    assert keys == ["k", "k", "k"]


@pytest.mark.parametrize("case", ["silent", "absent"])
def test_the_deadline_is_kept(case: str) -> None:
    released = threading.Event()

    def answer(_request: Request) -> Response:
        released.wait(timeout=120)
        return Response()

    def ask(client: TierClient) -> float:
        begun = time.monotonic()
        with pytest.raises(Unavailable, match="the catalog does not answer"):
            HttpCatalog(client).lookup(["Tux"])
        return time.monotonic() - begun

    if case == "silent":
        with tier(answer, deadline_s=1.0) as client:
            try:
                waited = ask(client)
            finally:
                released.set()
    else:
        waited = ask(TierClient("catalog", "127.0.0.1", free_port(), deadline_s=1.0))
    assert 0.9 < waited < 60.0, "who is silent is so for two minutes"


AWAY = Unavailable("the catalog does not answer, try again")
BUSY = {"error": {"code": 503, "message": Unavailable.message}}


class Counted:
    """An answer that counts its requests; each may have a header more."""

    def __init__(self, status: int, body: object, **headers: str) -> None:
        self._says = says(status, body)
        self._headers = headers
        self.at: list[float] = []

    def __call__(self, request: Request) -> Response:
        self.at.append(time.monotonic())
        response = self._says(request)
        for name, value in self._headers.items():
            response.headers[name.replace("_", "-")] = value
        return response


def ask(client: TierClient, what: str) -> object:
    match what:
        case "page":
            return HttpCatalog(client).products(q="", after="", limit=10)
        case "query":
            return HttpCatalog(client).lookup(["Tux"])
        case "sale":
            return HttpCatalog(client).sell([BUY])
        case "buy":
            return HttpOrders(client).place_all([BUY])
    return HttpOrders(client).order(1)


@pytest.mark.parametrize("what", ["page", "order"])
@pytest.mark.parametrize("headers", [{}, {"Retry_After": "0"}, {"Retry_After": "1"}], ids=str)
def test_what_is_asked_for_one_shopper_is_asked_once(what: str, headers: dict[str, str]) -> None:
    busy = Counted(503, BUSY, **headers)
    with tier(busy) as client, pytest.raises(Unavailable, match="does not answer, try again"):
        ask(client, what)
    assert len(busy.at) == 1


@pytest.mark.parametrize("what", ["query", "sale", "buy"])
@pytest.mark.parametrize(("status", "times"), [(503, 4), (502, 4), (504, 4), (500, 1), (501, 1)])
def test_a_tier_that_answers_with_trouble_is_asked_a_few_times(what: str, status: int, times: int) -> None:
    busy = Counted(status, BUSY)
    with patient(busy) as client, pytest.raises(Unavailable):
        ask(client, what)
    assert len(busy.at) == times


@pytest.mark.parametrize("what", ["query", "buy"])
def test_a_tier_that_takes_connections_and_says_nothing_is_asked_ten_times_at_most(what: str) -> None:
    connections = []

    def cut(server: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                connections.append(connection)
                connection.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=cut, args=(server,))
        thread.start()
        with suppress(Unavailable):
            ask(TierClient("catalog", "127.0.0.1", server.getsockname()[1], deadline_s=6.0), what)
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert 3 <= len(connections) <= 10


@pytest.mark.parametrize("what", ["query", "sale", "buy"])
def test_a_tier_is_not_asked_again_before_it_wishes(what: str) -> None:
    busy = Counted(503, BUSY, Retry_After="1")
    with patient(busy, 4.5) as client, pytest.raises(Unavailable):
        ask(client, what)
    assert 2 <= len(busy.at) <= 5
    assert all(later - sooner >= 1.0 for sooner, later in pairwise(busy.at))


@pytest.mark.parametrize(
    ("retry_after", "told_s"),
    [("30", 30), ("86400", LONGEST_RETRY_AFTER_S), ("Fri, 31 Dec 2199 23:59:59 GMT", LONGEST_RETRY_AFTER_S)],
)
def test_a_tier_that_wishes_longer_than_the_deadline_is_given_up_at_once_and_the_shopper_is_told(
    retry_after: str, told_s: int
) -> None:
    busy = Counted(503, BUSY, Retry_After=retry_after)
    with patient(busy, 20.0) as client:
        front_end = Client(FrontEndApp(HttpCatalog(client), HttpOrders(client)))
        begun = time.monotonic()
        for response in (front_end.get("/products"), front_end.get("/products/Tux"), front_end.post("/Tux/1")):
            assert (response.status_code, response.headers["Retry-After"]) == (503, str(told_s))
        assert time.monotonic() - begun < 15.0
    assert len(busy.at) == 3


def test_the_retries_of_many_calls_are_a_small_share_of_them() -> None:
    """Retries alone, one after the other: each would be asked four times."""
    busy = Counted(503, BUSY)
    with patient(busy, 0.5) as client:
        begun = time.monotonic()
        for _ in range(30):
            with pytest.raises(Unavailable):
                ask(client, "query")
        took_s = time.monotonic() - begun
    assert len(busy.at) <= 30 * 1.1 + 12 + took_s + 1, f"{len(busy.at)} requests in {took_s:.1f} s"


def test_a_dead_kept_connection_is_replaced_at_once_for_a_page_too() -> None:
    """Its tier has closed it, as it may at any time; nothing says so before it is used."""
    requests: list[bytes] = []

    def serve(server: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                with connection:
                    requests.append(connection.recv(65536))
                    connection.sendall(b"%sContent-Length: %d\r\n\r\n" % (head, len(PAGE)) + PAGE)

    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    server = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=serve, args=(server,))
    thread.start()
    with closing(TierClient("catalog", "127.0.0.1", server.getsockname()[1], deadline_s=20.0)) as client:
        for _ in range(5):
            assert HttpCatalog(client).products(q="", after="", limit=10) == PAGE
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join()
    assert len(requests) == 5, "none was asked twice"


def test_a_page_of_a_tier_that_is_away_is_given_up_at_once() -> None:
    begun = time.monotonic()
    with absent() as client, pytest.raises(Unavailable):
        ask(client, "page")
    assert time.monotonic() - begun < 10.0


def test_a_tier_is_told_of_when_it_is_lost_and_when_it_is_found(caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    answer = Request.application(says(200, {"data": [None]}))
    with (
        closing(TierClient("catalog", "127.0.0.1", port, deadline_s=0.5)) as client,
        caplog.at_level(logging.INFO),
    ):
        for _ in range(3):
            with pytest.raises(Unavailable):
                ask(client, "query")
        server = make_server("127.0.0.1", port, answer, threaded=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        for _ in range(3):
            assert ask(client, "query") == [ProductNotFound()]
        server.shutdown()
        thread.join()
        server.server_close()
    lines = [message for message in caplog.messages if message.startswith("the catalog")]
    where = f"the catalog at 127.0.0.1:{port}"
    assert lines == [f"{where} does not answer: Connection refused", f"{where} answers again"]


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (200, {"data": {"status": "ready"}}, None),
        (404, {"error": {"code": 404, "message": "not found"}}, None),
        (503, {"error": {"code": 503, "message": "not ready: catalog.db: odd"}}, "not ready: catalog.db: odd"),
        (502, {"detail": "bad gateway"}, "answers 502"),
    ],
)
def test_a_tier_is_asked_whether_it_is_ready(status: int, body: object, why: str | None) -> None:
    answer = Counted(status, body)
    with tier(answer) as client:
        if why is None:
            client.require_ready(10.0)
        else:
            with pytest.raises(Unavailable) as caught:
                client.require_ready(10.0)
            assert caught.value.message == why
    assert len(answer.at) == 1


def test_a_tier_that_is_away_is_not_ready() -> None:
    with absent() as client, pytest.raises(Unavailable, match="does not answer"):
        client.require_ready(10.0)


def test_a_question_that_the_tier_cannot_answer_fails_alone() -> None:
    asked: list[int] = []

    def answer(request: Request) -> Response:
        is_lookup = request.path == "/v1/lookups"
        names = request.json if is_lookup else [key for key, _name, _quantity in request.json]
        asked.append(len(names))
        if "poison" in names:
            return says(500, {"error": {"code": 500, "message": "internal error"}})(request)
        value = None if is_lookup else 1
        return says(200, {"data": [value] * len(names)})(request)

    with patient(answer) as client:
        names = [*(f"n{number}" for number in range(63)), "poison"]
        assert HttpCatalog(client).lookup(names) == [ProductNotFound()] * 63 + [AWAY]
        assert HttpOrders(client).place_all([Buy(name, "Tux", 1) for name in names]) == [1] * 63 + [AWAY]
    assert len(asked) == 2 * 13, "two for each halving"


@pytest.mark.parametrize("is_one_alive", [True, False])
def test_the_addresses_of_a_host_share_the_deadline(is_one_alive: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many, one at most answers: were the first given half of the deadline, nothing would be left for it."""
    real = socket.getaddrinfo
    with (
        deaf_port() as deaf,
        tier(says(200, {"data": [None]}), host="catalog.test", deadline_s=20.0 if is_one_alive else 4.0) as client,
    ):

        def getaddrinfo(host: str, port: int, **options: Any) -> list[Any]:
            if host != "catalog.test":
                return real(host, port, **options)
            ports = [deaf] * 3 + [port] + [deaf] * 8 if is_one_alive else [deaf] * 50
            return [address for port in ports for address in real("127.0.0.1", port, type=socket.SOCK_STREAM)]

        def lookup() -> object:
            return HttpCatalog(client).lookup(["Tux"])

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        begun = time.monotonic()
        if is_one_alive:
            assert lookup() == [ProductNotFound()]
        else:
            with pytest.raises(Unavailable):
                lookup()
        assert time.monotonic() - begun < 60.0


def test_no_proxy_stands_between_the_tiers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with tier(says(200, {"data": [None]})) as client:
        assert HttpCatalog(client).lookup(["Tux"]) == [ProductNotFound()]


def test_one_silent_connection_does_not_take_the_whole_deadline() -> None:
    calls: list[str] = []
    released = threading.Event()

    def answer(request: Request) -> Response:
        calls.append(request.path)
        if len(calls) == 1:
            released.wait(timeout=120)
        return says(200, {"data": [7]})(request)

    with tier(answer, deadline_s=8.0) as client:
        try:
            assert HttpOrders(client).place_all([BUY]) == [7]
        finally:
            released.set()


@pytest.mark.parametrize("slow", ["head", "body", "accept"])
def test_a_tier_that_trickles_does_not_outlast_the_deadline(slow: str) -> None:
    """A socket's timeout starts anew with each byte; the deadline does not."""
    ending = threading.Event()
    head, body = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b" " * 1000

    def trickle(server: socket.socket) -> None:
        with server, suppress(OSError):
            while not ending.is_set():
                connection, _ = server.accept()
                threading.Thread(target=drip, args=(connection,)).start()

    def drip(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            if slow == "body":
                connection.sendall(head)
            for byte in {"head": head * 100, "body": body, "accept": b""}[slow]:
                if ending.wait(0.1):
                    return
                connection.sendall(bytes([byte]))
            ending.wait(120)

    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(20)
    thread = threading.Thread(target=trickle, args=(server,))
    thread.start()
    client = TierClient("catalog", "127.0.0.1", server.getsockname()[1], deadline_s=1.0)
    try:
        begun = time.monotonic()
        with pytest.raises(Unavailable, match="the catalog does not answer"):
            HttpCatalog(client).lookup(["Tux"])
        assert 0.9 < time.monotonic() - begun < 60.0, "all the bytes would take 100 s"
    finally:
        ending.set()
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_response_that_ends_its_connection_is_read_whole() -> None:
    def answer(request: Request) -> Response:
        response = says(200, {"data": [None] * 240})(request)
        response.headers["Connection"] = "close"
        return response

    with tier(answer) as client:
        names = [f"n{number}" for number in range(240)]
        for _ in range(3):
            assert HttpCatalog(client).lookup(names) == [ProductNotFound()] * 240


AUTHORIZATION = encode_authorization("secret-" * 5)


def test_each_call_carries_the_authorization_of_the_client() -> None:
    seen: list[str | None] = []

    def answer(request: Request) -> Response:
        seen.append(request.headers.get("Authorization"))
        return says(200, {"data": [None]})(request)

    with tier(answer, authorization=AUTHORIZATION) as client:
        HttpCatalog(client).lookup(["Tux"])
    with tier(answer) as client:
        HttpCatalog(client).lookup(["Tux"])
    assert seen == [f"Bearer {'secret-' * 5}", None]


@pytest.mark.parametrize(
    ("refusal", "question"),
    [
        (401, "is TIER_SECRET the same for both?"),
        (403, "is the host by which it is reached in its CATALOG_HOSTS or ORDER_HOSTS?"),
    ],
)
def test_a_tier_that_does_not_accept_us_is_unavailable_at_once_and_the_log_says_why_once(
    caplog: pytest.LogCaptureFixture, refusal: int, question: str
) -> None:
    answers = iter([refusal, refusal, refusal, 200, refusal, refusal])

    def answer(request: Request) -> Response:
        status = next(answers)
        return says(status, {"data": [None]} if status == 200 else {"error": {"code": status, "message": "no"}})(
            request
        )

    why = f"the catalog does not accept this tier: {question}"
    with tier(answer, authorization=AUTHORIZATION) as client, caplog.at_level(logging.INFO):
        for told in (1, 1, 1):
            with pytest.raises(Unavailable, match="the catalog does not answer, try again"):
                HttpCatalog(client).lookup(["Tux"])
            assert caplog.messages == [why] * told
        assert HttpCatalog(client).lookup(["Tux"]) == [ProductNotFound()]
        for _ in range(2):
            with pytest.raises(Unavailable):
                HttpCatalog(client).sell([BUY])
    assert caplog.messages == [why] * 2, "again, for it had been accepted meanwhile"
    assert next(answers, None) is None, "it was asked once each time"


def test_a_tier_of_another_release_leaves_buys_in_doubt_and_the_log_says_what_to_do_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It knows the pages still, so its other answers must not have the log told again and again."""
    is_upgraded = False
    asked: list[str] = []

    def answer(request: Request) -> Response:
        asked.append(request.path)
        if request.path == "/products":
            return Response(PAGE, content_type="application/json")
        if is_upgraded:
            return says(200, {"data": [2599]})(request)
        return says(404, {"error": {"code": 404, "message": "not found"}})(request)

    with tier(answer) as client, caplog.at_level(logging.INFO):
        for _ in range(3):
            with pytest.raises(Unavailable, match="the catalog does not answer, try again") as caught:
                HttpCatalog(client).sell([BUY, BUY])
            assert caught.value.retry_after_s == 1, "no half of a batch fares better"
            with pytest.raises(Unavailable):
                HttpCatalog(client).lookup(["Tux"])
            assert ask(client, "page") == PAGE
        why = "the catalog does not know /v1/sales: it is of another release; upgrade all, those behind first"
        assert caplog.messages == [why]
        assert asked == ["/v1/sales", "/v1/lookups", "/products"] * 3, "none is asked twice"
        is_upgraded = True
        assert HttpCatalog(client).sell([BUY]) == [Sold(2599)]
        is_upgraded = False
        with pytest.raises(Unavailable):
            HttpCatalog(client).sell([BUY])
        assert caplog.messages == [why] * 2, "again, for it had been answered meanwhile"
