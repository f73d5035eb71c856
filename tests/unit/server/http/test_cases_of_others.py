"""The server reads and refuses the test cases of gunicorn and llhttp as these do, or the case says why not."""

import pytest

from tests.unit.server.http import gunicorn_cases, llhttp_cases
from tests.unit.server.http.case import Case
from tests.unit.server.http.reading import read, read_all

CASES = [*gunicorn_cases.CASES, *llhttp_cases.CASES]


def test_no_case_is_missing() -> None:
    """There is one for each input, also for modes and protocols that this server does not support."""
    assert (len(gunicorn_cases.CASES), len(llhttp_cases.CASES)) == (137, 166)
    assert len({case.name for case in CASES}) == len(CASES)


def test_each_difference_has_its_reason() -> None:
    for case in CASES:
        assert (case.difference is None) == (not case.reason), case.name


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_is_read_or_refused_as_it_expects(case: Case) -> None:
    outcome = read(case.data)
    assert case.holds(outcome), (outcome, case.reason)
    if case.difference is not None:
        assert not case.agrees(outcome), "the case names a difference, and there is none"
    assert read_all(bytes([byte]) for byte in case.data) == outcome, "cut before each byte"


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.refuses and read(case.data).waits], ids=lambda case: case.name
)
def test_a_head_that_others_refuse_early_is_refused_at_its_end(case: Case) -> None:
    assert read(case.data.removesuffix(b"\r\n") + b"\r\nHost: a\r\n\r\n").refused == 400
