"""The lines that tell of a tier that is lost and found."""

import logging

import pytest

from wsgi_apps.presence import QUIET_S, Presence


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def presence(clock: Clock, caplog: pytest.LogCaptureFixture) -> Presence:
    caplog.set_level(logging.INFO)
    return Presence("catalog", "127.0.0.1:10086", clock)


def test_a_tier_is_told_of_when_it_is_lost_and_when_it_is_found(
    presence: Presence, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    presence.found()
    assert caplog.messages == []
    for _ in range(100):
        presence.lost("Connection refused")
        clock.now += 1.0
    assert caplog.messages == ["the catalog is lost: 127.0.0.1:10086 does not answer: Connection refused"]
    for _ in range(3):
        presence.found()
    assert caplog.messages[1:] == ["the catalog is found again after 100.0 s"]


def test_a_tier_that_comes_and_goes_is_no_flood(
    presence: Presence, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(600):
        presence.lost("timed out")
        presence.found()
        clock.now += 0.1
    assert len(caplog.messages) <= 2 * (60 / QUIET_S + 1)


def test_a_loss_in_the_quiet_time_is_told_of_when_it_lasts(
    presence: Presence, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    presence.lost("timed out")
    presence.found()
    caplog.clear()
    presence.lost("Connection refused")
    assert caplog.messages == []
    clock.now += QUIET_S
    presence.lost("Connection refused")
    presence.found()
    assert [message.split(":")[0] for message in caplog.messages] == [
        "the catalog is lost",
        f"the catalog is found again after {QUIET_S:.1f} s",
    ]
