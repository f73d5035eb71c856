"""An outage is logged once when it begins and once when it ends."""

import pytest

from db import outages


def test_a_flapping_outage_is_logged_at_most_once_in_the_interval(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(100):
        outages.log_start("a disk", "a disk: it fails")
        outages.log_end("a disk", "a disk: it works")
    assert caplog.messages == ["a disk: it fails", "a disk: it works"]


def test_a_read_does_not_end_an_outage_of_writes(caplog: pytest.LogCaptureFixture) -> None:
    outages.log_start("another disk", "it is read-only")
    outages.log_end("another disk", "it works", writing=False)
    outages.log_start("another disk", "it is read-only", writing=False)
    assert caplog.messages == ["it is read-only"]
    outages.log_end("another disk", "it works")
    assert caplog.messages == ["it is read-only", "it works"]
