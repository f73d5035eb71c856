"""The client of a tier that has several addresses: who gets a call, and who gets it when one does not answer."""

import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest
from werkzeug.wrappers import Request, Response

from domain.errors import ProductNotFound, Unavailable
from tests.support.scripted_tier import ScriptedTier, length, reply
from tests.support.stub_server import answer_with, stub_server
from tests.support.tier_calls import BUY, PAGE, call
from tests.support.tiers import free_port
from tests.support.waiting import wait_until
from wsgi_apps.clients import HttpCatalog, HttpOrders
from wsgi_apps.tier_client import TierClient

BUSY = {"error": {"code": 503, "message": Unavailable.message}}
ORDERED = b'{"data": [7]}\n'


class Twin:
    """One of the tiers behind. `answer` is its answer to each request; None answers as a tier that works."""

    def __init__(self) -> None:
        self.answer: Any = None
        self.requests: list[str] = []
        self.bodies: list[bytes] = []
        self.port = 0
        self._stack = ExitStack()

    def start(self, port: int = 0) -> None:
        self.port = self._stack.enter_context(stub_server(self._respond, port=port))

    def stop(self) -> None:
        self._stack.close()

    def _respond(self, request: Request) -> Response:
        self.requests.append(request.path)
        self.bodies.append(request.get_data())
        if self.answer is not None:
            response: Response = self.answer(request)
            return response
        if request.path == "/products":
            return Response(PAGE, content_type="application/json")
        data: Any = {"status": "ready"}
        if request.path != "/ready":
            data = [7 if request.path == "/v1/buys" else None] * len(request.json)
        return answer_with(200, {"data": data})(request)


@pytest.fixture
def twins() -> Iterator[list[Twin]]:
    """Two tiers that run."""
    both = [Twin(), Twin()]
    for twin in both:
        twin.start()
    yield both
    for twin in both:
        twin.stop()


def client_of(*ports: int, deadline_s: float = 60.0, **options: Any) -> "closing[TierClient]":
    places = [("127.0.0.1", port) for port in ports]
    return closing(TierClient("catalog", places, deadline_s=deadline_s, **options))


def client_of_all(twins: list[Twin], **options: Any) -> "closing[TierClient]":
    return client_of(*(twin.port for twin in twins), **options)


def calls_of(twin: Twin) -> int:
    return sum(path != "/ready" for path in twin.requests)


def test_calls_are_spread_over_all_addresses(twins: list[Twin]) -> None:
    with client_of_all(twins) as client:
        for _ in range(20):
            assert call(client, "query") == [ProductNotFound()]
    assert [calls_of(twin) for twin in twins] == [10, 10]


@pytest.mark.parametrize("kind", ["query", "buy", "page"])
def test_no_call_fails_when_one_of_two_addresses_is_dead_and_it_is_back_after_its_restart(
    twins: list[Twin], kind: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages and single orders, too, which are not repeated at the same address."""
    dead, alive = twins
    with client_of_all(twins) as client, caplog.at_level(logging.INFO):
        for _ in range(4):
            call(client, kind)
        dead.stop()
        pauses: list[float] = []
        monkeypatch.setattr("wsgi_apps.tier_client.time.sleep", pauses.append)
        before = calls_of(alive)
        for _ in range(20):
            call(client, kind)
        assert calls_of(alive) == before + 20 and pauses == [], "a call waited for the dead one"
        monkeypatch.undo()
        dead.start(dead.port)
        known = calls_of(dead)

        def is_back() -> bool:
            call(client, kind)
            return calls_of(dead) > known

        wait_until("the restarted tier gets calls", is_back)
    where = f"the catalog at 127.0.0.1:{dead.port}"
    lines = [message for message in caplog.messages if message.startswith("the catalog")]
    assert lines == [f"{where} does not answer: Connection refused", f"{where} answers again"]


def test_a_buy_whose_connection_died_is_sent_to_another_address_under_the_same_key() -> None:
    """The dead one may have taken the buy, so that only the key tells the other that it is the same."""
    cut, other = ScriptedTier([None]), ScriptedTier(reply(length(ORDERED), body=ORDERED))
    with closing(cut), closing(other), client_of(other.port, cut.port) as client:
        assert HttpOrders(client).place_all([BUY]) == [7]
        assert len(cut.requests) == len(other.requests) == 1
    [sent], [repeated] = cut.requests, other.requests
    assert json.loads(sent.partition(b"\r\n\r\n")[2]) == json.loads(repeated.partition(b"\r\n\r\n")[2])
    assert json.loads(sent.partition(b"\r\n\r\n")[2])[0][0] == BUY.key


@pytest.mark.parametrize("kind", ["buy", "page"])
def test_a_silent_address_takes_half_of_the_deadline_once(twins: list[Twin], kind: str) -> None:
    silent, other = twins
    released = threading.Event()

    def wait(_request: Request) -> Response:
        released.wait(timeout=120)
        return Response()

    silent.answer = wait
    with client_of_all(twins, deadline_s=8.0) as client:
        try:
            for _ in range(6):
                call(client, kind)
        finally:
            released.set()
    assert (calls_of(silent), calls_of(other)) == (1, 6)


def test_a_machine_that_is_gone_leaves_time_for_the_others() -> None:
    """A connect to it is not refused but lost. Each address has its share of the time."""
    with ExitStack() as stack:
        gone = []
        for _ in range(6):
            server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
            stack.enter_context(socket.create_connection(server.getsockname()))
            gone.append(server.getsockname()[1])
        alive = Twin()
        alive.start()
        stack.callback(alive.stop)
        with client_of(*gone, alive.port, deadline_s=20.0) as client:
            assert call(client, "query") == [ProductNotFound()]


@pytest.mark.parametrize("headers", [{}, {"Retry-After": "5"}], ids=str)
def test_a_call_goes_on_at_another_address_when_one_is_unavailable(twins: list[Twin], headers: dict[str, str]) -> None:
    """Its Retry-After is its own: nobody has to wait for another one."""
    busy, other = twins
    busy.answer = lambda request: _with_headers(answer_with(503, BUSY)(request), headers)
    with client_of_all(twins) as client:
        for _ in range(10):
            assert call(client, "buy") == [7]
    assert (calls_of(busy), calls_of(other)) == (1, 10)


def _with_headers(response: Response, headers: dict[str, str]) -> Response:
    response.headers.update(headers)
    return response


def test_many_calls_cause_few_retries_when_all_addresses_are_unavailable(twins: list[Twin]) -> None:
    """The budget of retries is one for the tier, however many addresses it has."""
    for twin in twins:
        twin.answer = answer_with(503, BUSY)
    with client_of_all(twins, deadline_s=0.5) as client:
        start = time.monotonic()
        for _ in range(30):
            with pytest.raises(Unavailable):
                call(client, "query")
        took_s = time.monotonic() - start
    asked = sum(calls_of(twin) for twin in twins)
    assert asked <= 30 * 1.1 + 12 + took_s + 1, f"{asked} requests in {took_s:.1f} s"


def test_a_call_ends_at_its_deadline_when_no_address_answers() -> None:
    start = time.monotonic()
    with client_of(free_port(), free_port(), deadline_s=1.0) as client, pytest.raises(Unavailable) as caught:
        call(client, "buy")
    assert 0.9 < time.monotonic() - start < 60.0
    assert caught.value == Unavailable("the catalog does not answer, try again")


def test_an_address_that_does_not_accept_this_tier_is_named_and_left_out(
    twins: list[Twin], caplog: pytest.LogCaptureFixture
) -> None:
    foreign, ours = twins
    foreign.answer = answer_with(401, {"error": {"code": 401, "message": "no"}})
    with client_of_all(twins) as client, caplog.at_level(logging.INFO):
        for _ in range(6):
            assert call(client, "buy") == [7]
        assert (calls_of(foreign), calls_of(ours)) == (1, 6)
        ours.answer = foreign.answer
        with pytest.raises(Unavailable):
            call(client, "buy")
    question = "does not accept this tier: is TIER_SECRET the same for both?"
    assert sorted(caplog.messages) == sorted(f"the catalog at 127.0.0.1:{twin.port} {question}" for twin in twins)


def test_a_tier_is_ready_when_one_of_its_addresses_is(twins: list[Twin]) -> None:
    broken, _ = twins
    broken.answer = answer_with(503, {"error": {"code": 503, "message": "not ready: catalog.db: odd"}})
    with client_of_all(twins) as client:
        client.require_ready(10.0)


def test_a_silent_address_does_not_delay_the_answer_that_another_one_is_ready(twins: list[Twin]) -> None:
    silent, _ = twins
    released = threading.Event()

    def wait(_request: Request) -> Response:
        released.wait(timeout=120)
        return Response()

    silent.answer = wait
    with client_of_all(twins) as client:
        try:
            client.require_ready(60.0)
            assert not released.is_set()
        finally:
            released.set()


def test_each_address_is_named_when_none_is_ready(twins: list[Twin]) -> None:
    dead, broken = twins
    dead.stop()
    broken.answer = answer_with(503, {"error": {"code": 503, "message": "not ready: catalog.db: odd"}})
    with client_of_all(twins) as client, pytest.raises(Unavailable) as caught:
        client.require_ready(10.0)
    assert caught.value.message == (
        f"127.0.0.1:{dead.port} does not answer, 127.0.0.1:{broken.port} not ready: catalog.db: odd"
    )


def test_a_name_with_several_ip_addresses_gets_calls_at_each(
    twins: list[Twin], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo

    def getaddrinfo(host: str, port: int, **options: Any) -> list[Any]:
        if host != "catalog.test":
            return real(host, port, **options)
        return [found for twin in twins for found in real("127.0.0.1", twin.port, type=socket.SOCK_STREAM)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with closing(TierClient("catalog", [("catalog.test", 1)], deadline_s=60.0)) as client:

        def are_both_called() -> bool:
            assert HttpCatalog(client).lookup(["Tux"]) == [ProductNotFound()]
            return all(calls_of(twin) for twin in twins)

        wait_until("both addresses get calls", are_both_called)
