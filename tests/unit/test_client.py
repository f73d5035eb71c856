import json

import pytest

from client.options import from_command_line
from client.report import percentile, print_json, print_table, summary
from client.series import Request, Series


def series() -> Series:
    times = [number / 1000 for number in range(1, 101)]
    return Series(requests=[Request("query", "found", seconds) for seconds in times], seconds=2.0)


@pytest.mark.parametrize(("percent", "value"), [(50, 50.0), (95, 95.0), (99, 99.0), (100, 100.0), (0.1, 1.0)])
def test_a_percentile_is_a_value_that_was_measured(percent: float, value: float) -> None:
    assert percentile([float(number) for number in range(1, 101)], percent) == value


def test_the_summary_counts_and_measures_in_ms() -> None:
    result = summary(series())
    assert result["requests_per_second"] == 50.0
    assert result["kinds"]["query"] == {
        "requests": 100,
        "outcomes": {"found": 100},
        "latency_ms": {"mean": 50.5, "max": 100.0, "p50": 50.0, "p95": 95.0, "p99": 99.0},
    }


def test_the_report_is_printed_both_ways(capsys: pytest.CaptureFixture[str]) -> None:
    print_json(series())
    assert json.loads(capsys.readouterr().out)["kinds"]["query"]["requests"] == 100
    print_table(series())
    assert "100 found" in capsys.readouterr().out
    print_table(Series())
    assert "No request was answered" in capsys.readouterr().out


def test_flags_make_the_series() -> None:
    options = from_command_line(
        ["--mode", "3", "--product", "Tux", "--quantity", "2", "--count", "9", "--clients", "3", "--seed", "1"], None
    )
    assert (options.mode, options.product, options.quantity, options.count) == (3, "Tux", 2, 9)
    assert (options.clients, options.seed, options.json) == (3, 1, False)


def test_the_variable_p_is_the_default_of_the_flag() -> None:
    assert from_command_line(["--mode", "1"], 0.25).p == 0.25
    assert from_command_line(["--mode", "1", "--p", "0"], 0.25).p == 0.0


def test_json_without_a_mode_is_refused_before_a_question(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        from_command_line(["--json"], None)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "--json needs --mode" in printed.err


def test_without_a_mode_it_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["7", "1", "2", "0.5", "none", "3"])
    monkeypatch.setattr("builtins.input", lambda _question: next(answers))
    options = from_command_line(["--clients", "2"], None)
    assert (options.mode, options.p, options.count, options.clients) == (1, 0.5, 3, 2)
