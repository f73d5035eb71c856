"""Rules of the worker that no client could be seen to break, such as when it leaves a connection to another."""

import os
import select
import socket
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest
from gunicorn.config import Timeout

from server.connection import Connection, State
from server.reader import RequestReader
from server.scoreboard import Scoreboard
from server.worker import ACCEPT_BACKOFF_S, SWEEP_INTERVAL_S, StoreWorker


class Bare(StoreWorker):
    """A worker without a process, a loop, and clients. `age` is its number."""

    def __init__(self, scoreboard: Scoreboard, age: int, connections: int) -> None:
        self._scoreboard, self.age = scoreboard, age
        self.alive = True
        self._connections = set(range(connections))  # type: ignore[arg-type]
        self._publish_connections()


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time as the worker sees it, in its one element."""
    now = [0.0]  # as on a machine that has just started
    monkeypatch.setattr("server.worker.time.monotonic", lambda: now[0])
    return now


def test_who_has_more_leaves_a_connection_for_a_moment_and_then_takes_it(now: list[float]) -> None:
    scoreboard = Scoreboard()
    worker = Bare(scoreboard, age=1, connections=3)
    Bare(scoreboard, age=2, connections=2)
    assert worker._backs_off()
    now[0] += ACCEPT_BACKOFF_S * 0.9
    assert worker._backs_off(), "the same connection, which nobody has taken yet"
    now[0] += ACCEPT_BACKOFF_S * 0.2
    assert not worker._backs_off(), "its neighbour is busy"
    now[0] += 1.0
    assert worker._backs_off(), "another connection"


def test_who_has_no_more_than_its_neighbours_takes_a_connection_at_once(now: list[float]) -> None:
    scoreboard = Scoreboard()
    worker = Bare(scoreboard, age=1, connections=2)
    assert not worker._backs_off(), "it is alone"
    Bare(scoreboard, age=2, connections=2)
    assert not worker._backs_off()


def test_nobody_waits_for_a_worker_that_has_ended(now: list[float]) -> None:
    scoreboard = Scoreboard()
    worker, other = Bare(scoreboard, age=1, connections=3), Bare(scoreboard, age=2, connections=0)
    assert worker._backs_off()
    scoreboard.clear(other.age)  # which the master does
    assert not worker._backs_off()


def test_the_master_hears_of_a_worker_long_before_it_takes_it_for_dead() -> None:
    assert Timeout.default >= SWEEP_INTERVAL_S * 10


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
    worker = Bare(Scoreboard(), age=1, connections=0)
    answered: list[object] = []
    worker.PIPE = list(os.pipe())
    os.write(worker.PIPE[1], b"\0")
    worker._wake_sent = True
    first, late = object(), object()
    monkeypatch.setattr(worker, "_guard", lambda _step, connection: answered.append(connection))
    worker._answered = Answers(first, lambda: worker._on_answer(late))  # type: ignore[arg-type]
    worker._on_wake()
    if late not in answered:
        told = select.poll()  # select() takes no descriptor above 1,023
        told.register(worker.PIPE[0], select.POLLIN)
        assert told.poll(0), "the loop was told"
        worker._on_wake()
    assert answered == [first, late]
    for end in worker.PIPE:
        os.close(end)


def test_what_comes_behind_the_end_of_our_side_is_not_kept() -> None:
    """A client that is told to go, and goes on sending, would fill the memory."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        reader = RequestReader({})
        connection = Connection(ours, "a client", reader)
        connection.enter(State.LINGERING, timeout_s=1.0)
        theirs.sendall(b"x" * 1_000)
        assert connection.receive()
        assert reader.is_empty
