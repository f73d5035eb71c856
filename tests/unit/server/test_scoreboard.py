"""The workers of a tier balance their connections: one with more leaves a new connection to the others for a moment."""

import pytest

from server.scoreboard import ACCEPT_BACKOFF_S, AcceptBackoff, Scoreboard
from tests.support.clock import Clock

ME, OTHER = 1, 2


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The monotonic clock. It begins at 0, as on a machine that has just started."""
    clock = Clock()
    clock.now = 0.0
    monkeypatch.setattr("server.scoreboard.time.monotonic", clock)
    return clock


def scoreboard_with(connections: dict[int, int]) -> Scoreboard:
    """Returns a scoreboard with so many connections of each worker."""
    scoreboard = Scoreboard()
    for worker, count in connections.items():
        scoreboard.set(worker, count)
    return scoreboard


def test_a_worker_with_more_connections_backs_off_for_a_moment_and_then_accepts(clock: Clock) -> None:
    backoff = AcceptBackoff(scoreboard_with({ME: 3, OTHER: 2}))
    assert backoff.is_on(3)
    clock.now += ACCEPT_BACKOFF_S * 0.9
    assert backoff.is_on(3), "the same connection, which no worker has accepted yet"
    clock.now += ACCEPT_BACKOFF_S * 0.2
    assert not backoff.is_on(3), "the other worker is busy"
    clock.now += 1.0
    assert backoff.is_on(3), "another connection"


@pytest.mark.usefixtures("clock")
def test_a_worker_with_no_more_connections_than_the_others_accepts_at_once() -> None:
    assert not AcceptBackoff(scoreboard_with({ME: 2})).is_on(2), "it is alone"
    assert not AcceptBackoff(scoreboard_with({ME: 2, OTHER: 2})).is_on(2)


@pytest.mark.usefixtures("clock")
def test_no_worker_backs_off_for_one_that_has_ended() -> None:
    scoreboard = scoreboard_with({ME: 3, OTHER: 0})
    backoff = AcceptBackoff(scoreboard)
    assert backoff.is_on(3)
    scoreboard.clear(OTHER)  # by the master process
    assert not backoff.is_on(3)
