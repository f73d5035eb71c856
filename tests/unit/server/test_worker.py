"""Rules of the worker that clients cannot test over a socket: wake-ups, sweeps and the limit of connections."""

import errno
import os
import select
from collections import deque
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.config import Timeout

from server.worker import SWEEP_INTERVAL_S, StoreWorker


class BareWorker(StoreWorker):
    """A worker without a process, an event loop or connections."""

    def __init__(self) -> None:
        self._connections = set()


def test_a_worker_notifies_its_master_ten_times_within_the_timeout() -> None:
    assert Timeout.default >= SWEEP_INTERVAL_S * 10


class QueueWithLateAnswer(deque[Any]):
    """A queue of answers that calls `add_late` when the event loop has just seen that it is empty."""

    def __init__(self, first: object, add_late: Callable[[], None]) -> None:
        super().__init__([first])
        self._add_late: list[Callable[[], None]] = [add_late]

    def __bool__(self) -> bool:
        if len(self):
            return True
        if self._add_late:
            self._add_late.pop()()
        return False


def test_an_answer_after_the_last_look_at_the_queue_wakes_the_event_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worker = BareWorker()
    sent: list[object] = []
    worker.PIPE = list(os.pipe())
    os.write(worker.PIPE[1], b"\0")
    worker._wake_sent = True
    first, late = object(), object()
    monkeypatch.setattr(worker, "_guard", lambda _step, connection: sent.append(connection))
    worker._answered = QueueWithLateAnswer(first, lambda: worker._on_answer(late))  # type: ignore[arg-type]
    worker._on_wake()
    if late not in sent:
        wake_up = select.poll()  # select() takes no descriptor above 1,023
        wake_up.register(worker.PIPE[0], select.POLLIN)
        assert wake_up.poll(0), "the late answer has written to the pipe"
        worker._on_wake()
    assert sent == [first, late]
    for end in worker.PIPE:
        os.close(end)


def test_a_shortage_of_files_without_connections_leaves_room_for_several_later() -> None:
    """The threads may hold all file descriptors. The limit that the worker then sets is never raised again."""
    worker = BareWorker()
    worker._max_connections = 1_000
    worker.log = SimpleNamespace(error=lambda *_: None)
    worker._on_shortage(OSError(errno.EMFILE, "Too many open files"))
    assert worker._max_connections > 1
