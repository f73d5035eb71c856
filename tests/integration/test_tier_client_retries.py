"""How often the client of a tier repeats a call, and when it gives up."""

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise

import pytest
from werkzeug.test import Client
from werkzeug.wrappers import Request, Response

from domain.errors import Unavailable
from tests.support.stub_server import answer_with, tier
from tests.support.tier_calls import BUY, CountedAnswer, absent_tier, call
from wsgi_apps.clients import HttpCatalog, HttpOrders
from wsgi_apps.front_end import FrontEndApp
from wsgi_apps.retries import LONGEST_RETRY_AFTER_S
from wsgi_apps.tier_client import TierClient

BUSY = {"error": {"code": 503, "message": Unavailable.message}}


def test_a_failing_tier_is_asked_again_under_the_same_key() -> None:
    keys: list[str] = []

    def answer(request: Request) -> Response:
        keys.extend(key for key, _name, _quantity in request.json)
        if len(keys) < 3:
            return answer_with(503, BUSY)(request)
        return answer_with(200, {"data": [0]})(request)

    with tier(answer) as client:
        assert HttpOrders(client).place_all([BUY]) == [0]
    assert keys == ["k", "k", "k"]


@pytest.mark.parametrize("kind", ["page", "order"])
@pytest.mark.parametrize("headers", [{}, {"Retry_After": "0"}, {"Retry_After": "1"}], ids=str)
def test_a_call_for_one_shopper_is_not_repeated(kind: str, headers: dict[str, str]) -> None:
    busy = CountedAnswer(503, BUSY, **headers)
    with tier(busy) as client, pytest.raises(Unavailable, match="does not answer, try again"):
        call(client, kind)
    assert len(busy.times) == 1


@pytest.mark.parametrize("kind", ["query", "sale", "buy"])
@pytest.mark.parametrize(("status", "times"), [(503, 4), (502, 4), (504, 4), (500, 1), (501, 1)])
def test_a_batch_is_repeated_three_times_but_not_after_500_or_501(kind: str, status: int, times: int) -> None:
    busy = CountedAnswer(status, BUSY)
    with tier(busy) as client, pytest.raises(Unavailable):
        call(client, kind)
    assert len(busy.times) == times


@pytest.mark.parametrize(
    "call_once",
    [
        lambda catalog: catalog.lookup(["Tux"]),
        lambda catalog: catalog.sell([BUY]),
        lambda catalog: catalog.decrement(BUY),
        lambda catalog: catalog.introduce(None),
    ],
    ids=["lookup", "sell", "decrement", "introduce"],
)
def test_a_client_without_retry_makes_one_try(call_once: Callable[[HttpCatalog], object]) -> None:
    """The recovery has such a client: its next sweep repeats the call."""
    busy = CountedAnswer(503, BUSY)
    with tier(busy) as client, pytest.raises(Unavailable):
        call_once(HttpCatalog(client, retry=False))
    assert len(busy.times) == 1


@pytest.mark.parametrize("kind", ["query", "buy"])
def test_a_tier_that_closes_each_connection_is_asked_ten_times_at_most(kind: str) -> None:
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
            call(TierClient("catalog", [("127.0.0.1", server.getsockname()[1])], deadline_s=6.0), kind)
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert 3 <= len(connections) <= 10


@pytest.mark.parametrize("kind", ["query", "sale", "buy"])
def test_a_call_is_not_repeated_before_retry_after(kind: str) -> None:
    busy = CountedAnswer(503, BUSY, Retry_After="1")
    with tier(busy, deadline_s=4.5) as client, pytest.raises(Unavailable):
        call(client, kind)
    assert 2 <= len(busy.times) <= 5
    assert all(later - sooner >= 1.0 for sooner, later in pairwise(busy.times))


@pytest.mark.parametrize(
    ("retry_after", "passed_on_s"),
    [("30", 30), ("86400", LONGEST_RETRY_AFTER_S), ("Fri, 31 Dec 2199 23:59:59 GMT", LONGEST_RETRY_AFTER_S)],
)
def test_a_retry_after_beyond_the_deadline_is_passed_on_to_the_shopper_at_once(
    retry_after: str, passed_on_s: int
) -> None:
    busy = CountedAnswer(503, BUSY, Retry_After=retry_after)
    with tier(busy, deadline_s=20.0) as client:
        front_end = Client(FrontEndApp(HttpCatalog(client), HttpOrders(client)))
        start = time.monotonic()
        for response in (front_end.get("/products"), front_end.get("/products/Tux"), front_end.post("/Tux/1")):
            assert (response.status_code, response.headers["Retry-After"]) == (503, str(passed_on_s))
        assert time.monotonic() - start < 15.0
    assert len(busy.times) == 3


def test_many_failing_calls_cause_few_retries() -> None:
    """Without a budget of retries, each of the 30 calls would be four requests."""
    busy = CountedAnswer(503, BUSY)
    with tier(busy, deadline_s=0.5) as client:
        start = time.monotonic()
        for _ in range(30):
            with pytest.raises(Unavailable):
                call(client, "query")
        took_s = time.monotonic() - start
    assert len(busy.times) <= 30 * 1.1 + 12 + took_s + 1, f"{len(busy.times)} requests in {took_s:.1f} s"


def test_a_page_of_an_absent_tier_is_unavailable_at_once() -> None:
    start = time.monotonic()
    with absent_tier() as client, pytest.raises(Unavailable):
        call(client, "page")
    assert time.monotonic() - start < 10.0
