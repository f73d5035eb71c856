"""The program behind `make test`, tests/stages.py: it runs every stage and counts the tests."""

import re
from collections import Counter

import pytest

from tests import stages
from tests.stages import ROOT, STAGES, FinishedStage, count_tests, main, run, run_make


@pytest.fixture
def results(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[int, str]]:
    """Exit code and output of each stage: types fails, unit has a failed test, the others pass."""
    results = {stage: (0, "") for stage in STAGES}
    results["types"] = (2, "Found 1 error in 1 file\n")
    results["unit"] = (2, "..F\nFAILED tests/unit/test_x.py\n==== 1 failed, 700 passed in 50.01s ====\n")
    results["e2e"] = (0, "100 passed in 61.00s (0:01:01)\n")
    monkeypatch.setattr(stages, "run", lambda names: run(names, results.__getitem__))
    return results


def test_a_failed_stage_stops_no_other_and_is_listed_at_the_end(
    results: dict[str, tuple[int, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([]) == 1
    printed = capsys.readouterr().out.splitlines()
    assert [line for line in printed if line.startswith("== ")] == [f"== {stage}" for stage in (*STAGES, "stages")]
    table = printed[printed.index("== stages") + 1 : -1]
    assert [line.split() for line in table] == [
        ["FAILED" if stage in ("types", "unit") else "passed", "0:00", stage] for stage in STAGES
    ]


def test_the_last_line_counts_all_tests_in_pytests_form(
    results: dict[str, tuple[int, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    main([])
    assert re.fullmatch(r"=+ 1 failed, 800 passed, 1 error in 0\.\d\ds =+", capsys.readouterr().out.splitlines()[-1])


def test_passed_stages_are_exit_code_0(results: dict[str, tuple[int, str]], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lint", "e2e"]) == 0
    assert "unit" not in capsys.readouterr().out


def test_tests_are_counted_with_and_without_a_frame() -> None:
    assert count_tests("=== 2 passed, 1 skipped in 0.10s ===\n1 failed, 2 errors in 3.00s\n") == Counter(
        passed=2, skipped=1, failed=1, error=2
    )
    assert count_tests("it took 3 passed in a row\nall in 3.00s\n") == Counter()


def test_a_duration_is_printed_in_minutes_and_seconds() -> None:
    assert str(FinishedStage("unit", True, 125.4, Counter())) == "passed   2:05  unit"
    assert str(FinishedStage("unit", True, 59.6, Counter())) == "passed   1:00  unit"


def test_the_output_of_a_stage_is_passed_on(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    code, output = run_make("no-such-target")
    assert code == 2
    assert "no-such-target" in output
    assert capfdbinary.readouterr().out.decode() == output


def test_each_stage_is_a_target_of_the_makefile() -> None:
    targets = re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(STAGES) <= set(targets)
