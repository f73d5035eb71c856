"""One call at a time, whose result goes to all who ask meanwhile."""

from itertools import count
from threading import Event, Thread

import pytest

from domain.errors import Unavailable
from wsgi_apps.single_flight import SingleFlight


def test_whoever_asks_meanwhile_gets_the_running_calls_result() -> None:
    numbers, go = count(), Event()

    def call() -> int:
        number = next(numbers)
        go.wait(60)
        return number

    flight: SingleFlight[int] = SingleFlight()
    first, second = flight.ask(call), flight.ask(call)
    assert not first.done()
    go.set()
    assert [first.result(60), second.result(60)] == [0, 0]
    assert flight.ask(call).result(60) == 1


def test_an_error_is_everybodys_and_ends_the_call() -> None:
    go = Event()

    def call() -> int:
        go.wait(60)
        raise ValueError("no disk")

    flight: SingleFlight[int] = SingleFlight()
    asked = [flight.ask(call), flight.ask(call)]
    go.set()
    for future in asked:
        with pytest.raises(ValueError, match="no disk"):
            future.result(60)
    with pytest.raises(ValueError, match="no disk"):
        flight.ask(call).result(60)


def test_nobody_can_cancel_the_call_for_the_others() -> None:
    go = Event()
    flight: SingleFlight[bool] = SingleFlight()
    asked = flight.ask(lambda: go.wait(60))
    assert not asked.cancel()
    go.set()
    assert asked.result(60) is True


def test_a_call_without_a_thread_fails_and_the_next_one_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_thread: Thread) -> None:
        raise RuntimeError("can't start new thread")

    flight: SingleFlight[str] = SingleFlight()
    with monkeypatch.context() as patch:
        patch.setattr(Thread, "start", refuse)
        with pytest.raises(Unavailable):
            flight.ask(lambda: "made")
    assert flight.ask(lambda: "made").result(60) == "made"
