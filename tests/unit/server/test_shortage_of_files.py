"""A shortage of descriptors that passes."""

import errno
from types import SimpleNamespace

from server.scoreboard import Scoreboard
from tests.unit.server.test_worker import Bare


def test_a_shortage_that_passes_does_not_leave_a_worker_with_one_connection_for_ever() -> None:
    """At the moment of the shortage it has none, for its threads have all the files; then it never has two again."""
    worker = Bare(Scoreboard(), age=1, connections=0)
    worker._max_connections = 1_000
    worker.log = SimpleNamespace(error=lambda *_: None)
    worker._on_shortage(OSError(errno.EMFILE, "Too many open files"))
    assert worker._max_connections > 1
