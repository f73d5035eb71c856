"""Rules of the worker that no client could be seen to break: whom it offers a connection, when it wakes its loop."""

import socket
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest
from gunicorn.config import Config, Timeout

from server.connection import Connection
from server.crowd import Crowd
from server.worker import NOTIFY_EVERY_S, OFFER_S, StoreWorker


class Bare(StoreWorker):
    """A worker without a process, a loop, and clients. `age` is its number."""

    def __init__(self, crowd: Crowd, age: int, connections: int) -> None:
        self._crowd, self.age, self.nr_conns = crowd, age, 0
        self._offer_ends = 0.0
        self._count(connections)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time as the worker sees it, in its one element."""
    now = [100.0]
    monkeypatch.setattr("server.worker.time.monotonic", lambda: now[0])
    return now


def test_who_has_more_offers_a_connection_for_a_moment_and_then_takes_it(now: list[float]) -> None:
    crowd = Crowd()
    worker = Bare(crowd, age=1, connections=3)
    Bare(crowd, age=2, connections=2)
    assert worker._offers()
    now[0] += OFFER_S * 0.9
    assert worker._offers(), "the same connection, which nobody has taken yet"
    now[0] += OFFER_S * 0.2
    assert not worker._offers(), "its neighbour is busy"
    now[0] += 1.0
    assert worker._offers(), "another connection"


def test_who_has_no_more_than_its_neighbours_takes_a_connection_at_once(now: list[float]) -> None:
    crowd = Crowd()
    worker = Bare(crowd, age=1, connections=2)
    assert not worker._offers(), "it is alone"
    Bare(crowd, age=2, connections=2)
    assert not worker._offers()


def test_nobody_waits_for_a_worker_that_has_ended(now: list[float]) -> None:
    crowd = Crowd()
    worker, other = Bare(crowd, age=1, connections=3), Bare(crowd, age=2, connections=0)
    assert worker._offers()
    other.leave()  # which the master says of it
    assert not worker._offers()


def test_the_master_hears_of_a_worker_long_before_it_takes_it_for_dead() -> None:
    assert Timeout.default >= NOTIFY_EVERY_S * 10


class Answers(deque[Any]):
    """Answers for the loop. When it has just seen that there are no more, a thread brings another."""

    def __init__(self, first: object, late: Callable[[], None]) -> None:
        super().__init__([first])
        self._late: list[Callable[[], None]] = [late]

    def __bool__(self) -> bool:
        if len(self):
            return True
        if self._late:
            self._late.pop()()
        return False


def test_an_answer_that_comes_as_the_loop_turns_away_wakes_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Bare(Crowd(), age=1, connections=0)
    woken: list[Callable[[], None]] = []
    answered: list[object] = []
    worker.method_queue = type("Queue", (), {"defer": staticmethod(woken.append)})()
    worker._wake_sent = True
    first, late = object(), object()
    monkeypatch.setattr(worker, "_guard", lambda _step, connection: answered.append(connection))
    worker._answered = Answers(first, lambda: worker._on_answer(late))  # type: ignore[arg-type]
    worker._respond_to_all()
    for wake in woken:
        wake()
    assert answered == [first, late]


def test_what_comes_behind_the_end_of_our_side_is_not_kept() -> None:
    """A client that is told to go, and goes on sending, would fill the memory."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        connection = Connection(ours, ("127.0.0.1", 1), ("127.0.0.1", 2), Config())
        theirs.sendall(b"GET / HTTP/1.1\r\n")
        assert connection.receive()
        assert connection.arrived == b"GET / HTTP/1.1\r\n"
        connection.parting = True
        theirs.sendall(b"x" * 1_000)
        assert connection.receive()
        assert connection.arrived == b"GET / HTTP/1.1\r\n"
