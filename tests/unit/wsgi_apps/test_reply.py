"""Deferred replies, endpoints that run in a pool, the bounded queue of a pool, and replies that are streamed."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future

import pytest
from werkzeug.test import Client

from domain.errors import Unavailable
from wsgi_apps import reply
from wsgi_apps.base import App, Rule
from wsgi_apps.reply import BoundedPool, Deferred, Reply, Stream, run_in_pool


def test_iterating_a_deferred_waits_for_its_future() -> None:
    future: Future[str] = Future()
    deferred = Deferred(future, Reply).respond_with(lambda wait: [wait().body.encode()])
    threading.Timer(0.05, future.set_result, ["Tux"]).start()
    assert list(deferred) == [b"Tux"]


def test_the_response_of_a_deferred_handles_the_error_of_its_future() -> None:
    def respond(wait: Callable[[], Reply]) -> list[bytes]:
        with pytest.raises(Unavailable):
            wait()
        return [b"503"]

    future: Future[str] = Future()
    future.set_exception(Unavailable())
    assert list(Deferred(future, Reply).respond_with(respond)) == [b"503"]


def test_an_endpoint_in_a_pool_runs_in_another_thread() -> None:
    endpoint = run_in_pool(lambda name: Reply({"name": name, "thread": threading.get_ident()}), BoundedPool(1, 0))
    answer = endpoint(name="Tux").wait().body
    assert answer["name"] == "Tux"
    assert answer["thread"] != threading.get_ident()


class Gate:
    """An endpoint that waits for `open`."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.begun = threading.Semaphore(0)
        self.open = threading.Event()

    def __call__(self, name: str) -> Reply:
        self.asked.append(name)
        self.begun.release()
        self.open.wait(timeout=10)
        return Reply({"name": name})


def test_a_call_that_stays_too_long_in_the_queue_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reply, "MAX_QUEUE_TIME_S", 0.05)
    gate = Gate()
    begin = run_in_pool(gate, BoundedPool(1, 1))
    first, late = begin("first"), begin("late")
    threading.Timer(0.2, gate.open.set).start()
    assert first.wait() == Reply({"name": "first"})
    with pytest.raises(Unavailable):
        late.wait()
    assert gate.asked == ["first"]


def test_a_full_queue_of_a_pool_refuses_at_once_and_has_room_later() -> None:
    gate = Gate()
    begin = run_in_pool(gate, BoundedPool(1, 2))
    taken = [begin(name) for name in ("a", "b", "c")]
    with pytest.raises(Unavailable):
        begin("d")
    assert gate.begun.acquire(timeout=10)
    assert gate.asked == ["a"], "no call has ended yet"
    gate.open.set()
    assert [later.wait().body["name"] for later in taken] == ["a", "b", "c"]
    assert begin("e").wait() == Reply({"name": "e"})


def test_a_call_that_fails_frees_its_place() -> None:
    pool = BoundedPool(1, 1)  # two places, because one becomes free only a moment after the result

    def fail() -> Reply:
        raise ZeroDivisionError

    for _ in range(4):
        with pytest.raises(ZeroDivisionError):
            run_in_pool(fail, pool)().wait()


def test_a_thread_that_cannot_be_started_takes_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = BoundedPool(1, 0)

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError):
            pool.submit(lambda: 1)
    assert pool.submit(lambda: 2).result(timeout=10) == 2


def test_a_stream_is_sent_while_it_is_made_and_has_no_length() -> None:
    sent: list[str] = []

    def chunks() -> Iterator[bytes]:
        for number in range(3):
            sent.append(f"made {number}")
            yield b"%d," % number

    app = App(
        [Rule("/", methods=["GET"], endpoint=lambda _request: Reply(Stream(chunks()), 200, {"X-A": "b"}, "text/csv"))],
        probe=lambda: None,
    )
    response = Client(app).get("/", buffered=False)
    assert (response.content_type, response.headers["X-A"]) == ("text/csv", "b")
    assert "Content-Length" not in response.headers
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    body = response.iter_encoded()
    assert (next(body), sent) == (b"0,", ["made 0"])
    assert b"".join(body) == b"1,2,"
    sent.clear()
    assert (Client(app).head("/").get_data(), sent) == (b"", [])
