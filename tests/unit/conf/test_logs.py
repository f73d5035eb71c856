"""The log of a tier: few lines of a kind, short, and harmless to a terminal."""

import io
import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest

import conf.logs
from conf.logs import FORMAT, FloodFilter, LineFormatter
from tests.support.tiers import ROOT
from tests.support.waiting import wait_until


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[logging.Logger, Clock, io.StringIO]]:
    """A logger with bursts of five lines of a kind, its clock, and its output."""
    monkeypatch.setattr(conf.logs, "COUNT_DELAY_S", 3600.0)
    logger, clock, written = logging.getLogger("tests.flood"), Clock(), io.StringIO()
    flood_filter = FloodFilter(5, clock)
    handler = logging.StreamHandler(written)
    handler.setFormatter(LineFormatter("%(message)s", None, 200))
    handler.addFilter(flood_filter)
    logger.addHandler(handler)
    logger.propagate = False
    yield logger, clock, written
    flood_filter.log_counts()
    logger.removeHandler(handler)


def test_lines_of_a_kind_are_limited_and_counted(
    log: tuple[logging.Logger, Clock, io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conf.logs, "COUNT_DELAY_S", 0.05)
    logger, clock, written = log
    for second in range(3):
        clock.now = float(second)
        for number in range(100):
            logger.warning("no request: %d", number)
        left_out = 95 + 99 * second
        wait_until("the others are counted", lambda: sum(counts(written)) == left_out)  # noqa: B023
    lines = written.getvalue().splitlines()
    assert len(lines) - len(counts(written)) == 5 + 1 + 1
    assert sum(counts(written)) == 300 - 7
    assert lines[-1].endswith("more lines like this one were left out: no request: 99")


def counts(written: io.StringIO) -> list[int]:
    """The numbers of lines that were left out. A busy machine may count those of one flood in two lines."""
    return [int(line.split()[0]) for line in written.getvalue().splitlines() if "left out" in line]


def test_one_kind_does_not_silence_another(log: tuple[logging.Logger, Clock, io.StringIO]) -> None:
    logger, _, written = log
    for _ in range(100):
        logger.warning("a flood")
    logger.warning("the disk is full")
    assert written.getvalue().splitlines() == ["a flood"] * 5 + ["the disk is full"]


def test_a_traceback_is_short_and_escaped(log: tuple[logging.Logger, Clock, io.StringIO]) -> None:
    logger, _, written = log

    def fail(depth: int) -> None:
        if depth:
            fail(depth - 1)
        raise ValueError("\x1b[31m" + "x" * 9000 + "\ninjected")

    for depth in (0, 100):
        try:
            fail(depth)
        except ValueError:
            logger.exception("it failed")
    assert "\x1b" not in written.getvalue()
    lines = written.getvalue().splitlines()
    assert len(lines) < 200
    assert max(map(len, lines)) < 250
    assert "ValueError: \\x1b[31mxxx" in written.getvalue()


def test_a_message_cannot_start_a_new_line() -> None:
    record = logging.LogRecord("x", logging.WARNING, "x.py", 1, "%s", ("a\n[2026-01-01] [1] [ERROR] forged\r",), None)
    assert len(LineFormatter(FORMAT, None, 200).format(record).splitlines()) == 1


def test_the_last_count_is_logged_at_the_end_of_the_process() -> None:
    program = (
        "from conf.output_thread import write_in_background; write_in_background(); import conf.logs, logging; "
        "conf.logs.log_to_stderr(); [logging.warning('x') for _ in range(100)]"
    )
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    lines = ended.stderr.splitlines()
    assert [line.rpartition("] ")[2] for line in lines[:-1]] == ["x"] * 20
    assert lines[-1].endswith("80 more lines like this one were left out: x")
