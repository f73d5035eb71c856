"""An outage is logged once when it begins and once when it ends."""

import pytest

from db import outages


def test_a_trouble_that_comes_and_goes_is_told_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(100):
        outages.log_start("a disk", "a disk: it fails")
        outages.log_end("a disk", "a disk: it works")
    assert caplog.messages == ["a disk: it fails", "a disk: it works"]


def test_what_writing_has_met_a_read_does_not_end(caplog: pytest.LogCaptureFixture) -> None:
    outages.log_start("another disk", "it is read-only")
    outages.log_end("another disk", "it works", writing=False)
    outages.log_start("another disk", "it is read-only", writing=False)
    assert caplog.messages == ["it is read-only"]
    outages.log_end("another disk", "it works")
    assert caplog.messages == ["it is read-only", "it works"]
