"""What `make test` does with its stages."""

import re
from collections import Counter

import pytest

from tests import stages
from tests.stages import ROOT, STAGES, Ended, counted, main, make, run


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[int, str]]:
    """The exit code and the output of each stage: types fails, unit has a test that does, the others pass."""
    made = {stage: (0, "") for stage in STAGES}
    made["types"] = (2, "Found 1 error in 1 file\n")
    made["unit"] = (2, "..F\nFAILED tests/unit/test_x.py\n==== 1 failed, 700 passed in 50.01s ====\n")
    made["e2e"] = (0, "100 passed in 61.00s (0:01:01)\n")
    monkeypatch.setattr(stages, "run", lambda names: run(names, made.__getitem__))
    return made


def test_a_stage_that_fails_stops_no_other_and_is_named_at_the_end(
    made: dict[str, tuple[int, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([]) == 1
    printed = capsys.readouterr().out.splitlines()
    assert [line for line in printed if line.startswith("== ")] == [f"== {stage}" for stage in (*STAGES, "stages")]
    table = printed[printed.index("== stages") + 1 : -1]
    assert [line.split() for line in table] == [
        ["FAILED" if stage in ("types", "unit") else "passed", "0:00", stage] for stage in STAGES
    ]


def test_the_last_line_counts_all_tests_as_pytest_does(
    made: dict[str, tuple[int, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    main([])
    assert re.fullmatch(r"=+ 1 failed, 800 passed, 1 error in 0\.\d\ds =+", capsys.readouterr().out.splitlines()[-1])


def test_stages_that_pass_are_exit_code_0(made: dict[str, tuple[int, str]], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lint", "e2e"]) == 0
    assert "unit" not in capsys.readouterr().out


def test_tests_are_counted_whatever_frame_the_line_has() -> None:
    assert counted("=== 2 passed, 1 skipped in 0.10s ===\n1 failed, 2 errors in 3.00s\n") == Counter(
        passed=2, skipped=1, failed=1, error=2
    )
    assert counted("it took 3 passed in a row\nall in 3.00s\n") == Counter()


def test_a_time_is_told_in_minutes_and_seconds() -> None:
    assert str(Ended("unit", True, 125.4, Counter())) == "passed   2:05  unit"
    assert str(Ended("unit", True, 59.6, Counter())) == "passed   1:00  unit"


def test_what_a_stage_prints_is_passed_on(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    code, output = make("no-such-target")
    assert code == 2
    assert "no-such-target" in output
    assert capfdbinary.readouterr().out.decode() == output


def test_each_stage_is_a_target_of_the_makefile() -> None:
    targets = re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(STAGES) <= set(targets)
