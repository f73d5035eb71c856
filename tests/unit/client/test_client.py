import json

import pytest

from client.options import Options, from_command_line
from client.report import percentile, print_report, summary
from client.series import Request, Series
from conf.version import __version__


def series() -> Series:
    times = [number / 1000 for number in range(1, 101)]
    return Series(requests=[Request("query", "found", seconds) for seconds in times], seconds=2.0)


@pytest.mark.parametrize(("percent", "value"), [(50, 50.0), (95, 95.0), (99, 99.0), (100, 100.0), (0.1, 1.0)])
def test_a_percentile_is_a_value_that_was_measured(percent: float, value: float) -> None:
    assert percentile([float(number) for number in range(1, 101)], percent) == value


def options_of(mode: int, *, count: int = 100, json: bool = False) -> Options:
    return Options(mode, "Tux", 2, count, clients=1, p=0.0, seed=None, json=json)


def parse(*arguments: str, p: float | None = None) -> Options:
    return from_command_line(list(arguments), lambda: p, list)


def test_the_summary_counts_and_measures_in_ms() -> None:
    result = summary(options_of(2), series())
    assert result["requests_per_second"] == 50.0
    assert result["kinds"]["query"] == {
        "requests": 100,
        "outcomes": {"found": 100},
        "latency_ms": {"mean": 50.5, "max": 100.0, "p50": 50.0, "p95": 95.0, "p99": 99.0},
    }


def test_the_report_is_printed_both_ways(capsys: pytest.CaptureFixture[str]) -> None:
    print_report(options_of(2, json=True), series(), None)
    assert json.loads(capsys.readouterr().out)["kinds"]["query"]["requests"] == 100
    print_report(options_of(2), series(), None)
    assert "100 found" in capsys.readouterr().out
    print_report(options_of(2), Series(), None)
    assert "No request was answered" in capsys.readouterr().out


def test_the_version_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse("--version")
    assert ended.value.code == 0
    assert capsys.readouterr() == (f"toystore {__version__}\n", "")


def test_flags_make_the_series() -> None:
    options = parse(
        *["--mode", "3", "--product", "Tux", "--quantity", "2", "--count", "9", "--clients", "3", "--seed", "1"]
    )
    assert (options.mode, options.product, options.quantity, options.count) == (3, "Tux", 2, 9)
    assert (options.clients, options.seed, options.json) == (3, 1, False)


def test_the_variable_p_is_the_default_of_the_flag() -> None:
    assert parse("--mode", "1", p=0.25).p == 0.25
    assert parse("--mode", "1", "--p", "0", p=0.25).p == 0.0


def test_json_without_a_mode_is_refused_before_a_question(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        parse("--json")
    printed = capsys.readouterr()
    assert "--json needs --mode" in json.loads(printed.out)["error"]
    assert "--json needs --mode" in printed.err


def test_without_a_mode_it_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["7", "1", "2", "0.5", "none", "3"])
    monkeypatch.setattr("builtins.input", lambda _question: next(answers))
    options = parse("--clients", "2")
    assert (options.mode, options.p, options.count, options.clients) == (1, 0.5, 3, 2)
