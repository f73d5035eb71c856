"""The output and the exit codes of `python -m tests.faults.power`."""

from collections.abc import Iterator

import pytest

from tests.faults.power import __main__ as power
from tests.faults.power.cuts import Cut


def test_it_prints_the_results_of_the_cuts(capsys: pytest.CaptureFixture[str]) -> None:
    assert power.main(["--images", "5"]) == 0
    output = capsys.readouterr()
    assert output.out.startswith("5 images of 1 traces")
    assert "0 broke a promise" in output.out
    assert "5 of 5 images" in output.err


def test_a_broken_promise_is_printed_and_gives_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert power.main(["--images", "20", "--synchronous", "NORMAL"]) == 1
    assert "    trace 0, event " in capsys.readouterr().out


def test_after_a_ctrl_c_it_prints_the_results_so_far(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> Iterator[Cut]:
        yield Cut(0, at=7, answered=3, after_kill=False, failed_syncs=0, uncertain=True, broken=None)
        raise KeyboardInterrupt

    monkeypatch.setattr(power, "cut_power", interrupted)
    assert power.main([]) == 130
    assert capsys.readouterr().out.startswith("1 images of 1 traces")


@pytest.mark.parametrize(
    "wrong",
    [["--images", "0"], ["--images", "many"], ["--synchronous", "SOMETIMES"], ["--failing-syncs", "1.5"], ["--what"]],
)
def test_wrong_usage_gives_exit_code_2(wrong: list[str]) -> None:
    with pytest.raises(SystemExit) as end:
        power.main(wrong)
    assert end.value.code == 2
