"""The client of a tier against tiers that are slow, absent, of another release, or do not accept it."""

import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

import pytest
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

from domain.errors import ProductNotFound, Unavailable
from domain.returns import SaleReturn
from domain.values import Buy, Sold
from tests.support.stub_server import answer_with, tier
from tests.support.tier_calls import BUY, PAGE, CountedAnswer, absent_tier, call
from tests.support.tiers import free_port
from wsgi_apps.bearer_auth import encode_authorization
from wsgi_apps.clients import HttpCatalog, HttpOrders
from wsgi_apps.tier_client import TierClient
from wsgi_apps.wire import RETURNS

NO_ANSWER = Unavailable("the catalog does not answer, try again")
GIVEN_BACK = SaleReturn("r", "k", "Tux", 1)


@contextmanager
def full_port() -> Iterator[int]:
    """A port that neither accepts nor refuses a connection: its backlog is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, socket.create_connection(server.getsockname()):
        yield server.getsockname()[1]


@pytest.mark.parametrize("case", ["silent", "absent"])
def test_a_call_of_a_silent_or_absent_tier_ends_at_the_deadline(case: str) -> None:
    released = threading.Event()

    def answer(_request: Request) -> Response:
        released.wait(timeout=120)
        return Response()

    def waited_s(client: TierClient) -> float:
        start = time.monotonic()
        with pytest.raises(Unavailable, match="the catalog does not answer"):
            HttpCatalog(client).lookup(["Tux"])
        return time.monotonic() - start

    if case == "silent":
        with tier(answer, deadline_s=1.0) as client:
            try:
                took_s = waited_s(client)
            finally:
                released.set()
    else:
        took_s = waited_s(TierClient("catalog", [("127.0.0.1", free_port())], deadline_s=1.0))
    assert 0.9 < took_s < 60.0, "the tier is silent for two minutes"


def test_the_log_has_a_line_when_a_tier_is_lost_and_one_when_it_answers_again(caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    answer = Request.application(answer_with(200, {"data": [None]}))
    with (
        closing(TierClient("catalog", [("127.0.0.1", port)], deadline_s=0.5)) as client,
        caplog.at_level(logging.INFO),
    ):
        for _ in range(3):
            with pytest.raises(Unavailable):
                call(client, "query")
        server = make_server("127.0.0.1", port, answer, threaded=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        for _ in range(3):
            assert call(client, "query") == [ProductNotFound()]
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
def test_require_ready_asks_once_and_raises_the_reason(status: int, body: object, why: str | None) -> None:
    answer = CountedAnswer(status, body)
    with tier(answer) as client:
        if why is None:
            client.require_ready(10.0)
        else:
            with pytest.raises(Unavailable) as caught:
                client.require_ready(10.0)
            assert caught.value.message == why
    assert len(answer.times) == 1


def test_an_absent_tier_is_not_ready() -> None:
    with absent_tier() as client, pytest.raises(Unavailable, match="does not answer"):
        client.require_ready(10.0)


def test_a_call_that_fails_in_a_batch_leaves_the_others_their_answers() -> None:
    asked: list[int] = []

    def answer(request: Request) -> Response:
        is_lookup = request.path == "/v1/lookups"
        names = request.json if is_lookup else [key for key, _name, _quantity in request.json]
        asked.append(len(names))
        if "poison" in names:
            return answer_with(500, {"error": {"code": 500, "message": "internal error"}})(request)
        value = None if is_lookup else 1
        return answer_with(200, {"data": [value] * len(names)})(request)

    with tier(answer) as client:
        names = [*(f"n{number}" for number in range(63)), "poison"]
        assert HttpCatalog(client).lookup(names) == [ProductNotFound()] * 63 + [NO_ANSWER]
        assert HttpOrders(client).place_all([Buy(name, "Tux", 1) for name in names]) == [1] * 63 + [NO_ANSWER]
    assert len(asked) == 2 * 13, "there are two calls for each halving"


@pytest.mark.parametrize("is_one_alive", [True, False])
def test_the_addresses_of_a_host_share_the_deadline(is_one_alive: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most one of many addresses answers. It would have no time left if the first had half of the deadline."""
    real = socket.getaddrinfo
    with (
        full_port() as full,
        tier(
            answer_with(200, {"data": [None]}), host="catalog.test", deadline_s=20.0 if is_one_alive else 4.0
        ) as client,
    ):

        def getaddrinfo(host: str, port: int, **options: Any) -> list[Any]:
            if host != "catalog.test":
                return real(host, port, **options)
            ports = [full] * 3 + [port] + [full] * 8 if is_one_alive else [full] * 50
            return [address for port in ports for address in real("127.0.0.1", port, type=socket.SOCK_STREAM)]

        def lookup() -> object:
            return HttpCatalog(client).lookup(["Tux"])

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        start = time.monotonic()
        if is_one_alive:
            assert lookup() == [ProductNotFound()]
        else:
            with pytest.raises(Unavailable):
                lookup()
        assert time.monotonic() - start < 60.0


def test_no_proxy_stands_between_the_tiers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with tier(answer_with(200, {"data": [None]})) as client:
        assert HttpCatalog(client).lookup(["Tux"]) == [ProductNotFound()]


def test_one_silent_reply_does_not_take_the_whole_deadline() -> None:
    calls: list[str] = []
    released = threading.Event()

    def answer(request: Request) -> Response:
        calls.append(request.path)
        if len(calls) == 1:
            released.wait(timeout=120)
        return answer_with(200, {"data": [7]})(request)

    with tier(answer, deadline_s=8.0) as client:
        try:
            assert HttpOrders(client).place_all([BUY]) == [7]
        finally:
            released.set()


@pytest.mark.parametrize("slow", ["head", "body", "accept"])
def test_a_call_of_a_tier_that_trickles_ends_at_the_deadline(slow: str) -> None:
    """Each byte restarts the timeout of a socket, but not the deadline."""
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
    client = TierClient("catalog", [("127.0.0.1", server.getsockname()[1])], deadline_s=1.0)
    try:
        start = time.monotonic()
        with pytest.raises(Unavailable, match="the catalog does not answer"):
            HttpCatalog(client).lookup(["Tux"])
        assert 0.9 < time.monotonic() - start < 60.0, "all bytes together take 100 s"
    finally:
        ending.set()
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_reply_with_connection_close_is_read_whole() -> None:
    def answer(request: Request) -> Response:
        response = answer_with(200, {"data": [None] * 240})(request)
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
        return answer_with(200, {"data": [None]})(request)

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
def test_a_tier_that_does_not_accept_the_client_is_unavailable_and_the_log_says_why_once(
    caplog: pytest.LogCaptureFixture, refusal: int, question: str
) -> None:
    answers = iter([refusal, refusal, refusal, 200, refusal, refusal])

    def answer(request: Request) -> Response:
        status = next(answers)
        return answer_with(status, {"data": [None]} if status == 200 else {"error": {"code": status, "message": "no"}})(
            request
        )

    line = f"the catalog does not accept this tier: {question}"
    with tier(answer, authorization=AUTHORIZATION) as client, caplog.at_level(logging.INFO):
        for _ in range(3):
            with pytest.raises(Unavailable, match="the catalog does not answer, try again"):
                HttpCatalog(client).lookup(["Tux"])
            assert caplog.messages == [line]
        assert HttpCatalog(client).lookup(["Tux"]) == [ProductNotFound()]
        for _ in range(2):
            with pytest.raises(Unavailable):
                HttpCatalog(client).sell([BUY])
    assert caplog.messages == [line] * 2, "the line is logged again after a success"
    assert next(answers, None) is None, "the client must not have repeated a call"


@pytest.mark.parametrize(
    ("refusal", "question"),
    [
        (401, "set the same OWNER_SECRET at catalog, order tier and back office"),
        (403, "set its OWNER_SECRET, the same at catalog, order tier and back office; or is the host by which"),
    ],
)
def test_the_owner_is_told_what_to_set_at_a_tier_that_does_not_accept_the_owner(refusal: int, question: str) -> None:
    answer = answer_with(refusal, {"error": {"code": refusal, "message": "no"}})
    with tier(answer, authorization=AUTHORIZATION, for_owner=True) as client, pytest.raises(Unavailable) as caught:
        HttpCatalog(client).lookup(["Tux"])
    assert caught.value.message.startswith(f"the catalog does not accept the owner: {question}")


@pytest.mark.parametrize("refusal", [401, 403])
def test_a_tier_without_an_owner_is_told_to_set_one_when_it_gives_back(
    caplog: pytest.LogCaptureFixture, refusal: int
) -> None:
    """The catalog knows the owner. It sells on, and each new try to give back logs nothing new."""

    def answer(request: Request) -> Response:
        if request.path == RETURNS:
            return answer_with(refusal, {"error": {"code": refusal, "message": "no"}})(request)
        return answer_with(200, {"data": [None]})(request)

    with tier(answer, authorization=AUTHORIZATION) as client, caplog.at_level(logging.INFO):
        for _ in range(2):
            with pytest.raises(Unavailable, match="the catalog does not answer, try again"):
                HttpCatalog(client).take_back([GIVEN_BACK])
            HttpCatalog(client).lookup(["Tux"])
    assert caplog.messages == [
        "the catalog takes back for the owner alone: set its OWNER_SECRET at the order tier, too"
    ]


def test_a_tier_that_rejects_all_calls_says_so_also_after_one_path(caplog: pytest.LogCaptureFixture) -> None:
    answer = answer_with(401, {"error": {"code": 401, "message": "no"}})
    with tier(answer) as client, caplog.at_level(logging.INFO):
        for _ in range(2):
            with pytest.raises(Unavailable):
                HttpCatalog(client).take_back([GIVEN_BACK])
            with pytest.raises(Unavailable):
                HttpCatalog(client).lookup(["Tux"])
    assert len(caplog.messages) == 2
    assert caplog.messages[1] == "the catalog does not accept this tier: is TIER_SECRET the same for both?"


def test_a_tier_of_another_release_is_unavailable_and_the_log_says_what_to_do_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It still serves pages. These successes must not cause the line to be logged again and again."""
    is_upgraded = False
    asked: list[str] = []

    def answer(request: Request) -> Response:
        asked.append(request.path)
        if request.path == "/products":
            return Response(PAGE, content_type="application/json")
        if is_upgraded:
            return answer_with(200, {"data": [2599]})(request)
        return answer_with(404, {"error": {"code": 404, "message": "not found"}})(request)

    with tier(answer) as client, caplog.at_level(logging.INFO):
        for _ in range(3):
            with pytest.raises(Unavailable, match="the catalog does not answer, try again") as caught:
                HttpCatalog(client).sell([BUY, BUY])
            assert caught.value.retry_after_s == 1, "the batch must not be halved and repeated"
            with pytest.raises(Unavailable):
                HttpCatalog(client).lookup(["Tux"])
            assert call(client, "page") == PAGE
        line = "the catalog does not know /v1/sales: it is of another release; upgrade all, those behind first"
        assert caplog.messages == [line]
        assert asked == ["/v1/sales", "/v1/lookups", "/products"] * 3, "a call was repeated"
        is_upgraded = True
        assert HttpCatalog(client).sell([BUY]) == [Sold(2599)]
        is_upgraded = False
        with pytest.raises(Unavailable):
            HttpCatalog(client).sell([BUY])
        assert caplog.messages == [line] * 2, "the line is logged again after a success"
