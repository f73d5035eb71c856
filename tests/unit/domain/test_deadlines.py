"""A deadline: the time that a call has left, which it passes to the next one."""

from types import SimpleNamespace

import pytest

from domain import deadlines
from domain.deadlines import Deadline
from domain.errors import Unavailable
from tests.support.clock import Clock


def test_a_deadline_has_the_time_that_is_left_and_then_raises(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    monkeypatch.setattr(deadlines, "time", SimpleNamespace(monotonic=clock))
    deadline = Deadline(2.0)
    assert deadline.remaining_s() == 2.0
    clock.now += 1.5
    assert deadline.remaining_s() == 0.5
    clock.now += 0.5
    with pytest.raises(Unavailable) as caught:
        deadline.remaining_s()
    assert caught.value.retry_after_s == 1, "other calls would have no time either"


def test_without_a_timeout_there_is_no_end() -> None:
    assert Deadline(None).remaining_s() is None
