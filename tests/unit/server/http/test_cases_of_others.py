"""Facts from gunicorn's and llhttp's tests: ours reads and refuses the same, or the fact says why not."""

import pytest

from tests.unit.server.http import gunicorn_cases, llhttp_cases
from tests.unit.server.http.case import Case
from tests.unit.server.http.reading import read, read_all

CASES = [*gunicorn_cases.CASES, *llhttp_cases.CASES]


def test_no_case_has_vanished() -> None:
    """One for each file and each section with an input, also of modes and protocols that this store does not know."""
    assert (len(gunicorn_cases.CASES), len(llhttp_cases.CASES)) == (137, 166)
    assert len({case.name for case in CASES}) == len(CASES)


def test_each_difference_has_its_reason() -> None:
    for case in CASES:
        assert (case.ours is None) == (not case.why), case.name


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_of_others_is_read_or_refused(case: Case) -> None:
    outcome = read(case.data)
    assert case.holds(outcome), (outcome, case.why)
    assert case.ours is None or not case.agrees(outcome), "there is no difference any more"
    assert read_all(bytes([byte]) for byte in case.data) == outcome, "cut before each byte"


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.refuses and read(case.data).waits], ids=lambda case: case.name
)
def test_what_others_refuse_before_its_head_ends_is_refused_when_it_ends(case: Case) -> None:
    assert read(case.data.removesuffix(b"\r\n") + b"\r\nHost: a\r\n\r\n").refused == 400
