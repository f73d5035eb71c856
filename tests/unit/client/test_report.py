"""The figures of the client's report, and both of its forms."""

import json

import pytest

from client.options import Options
from client.report import percentile, print_report, summary
from client.series import Request, Series


def options(*, json: bool = False) -> Options:
    """Returns the options of 100 queries."""
    return Options(mode=2, product="Tux", quantity=2, count=100, clients=1, p=0.0, seed=None, json=json)


def series() -> Series:
    """Returns queries that took 1 to 100 ms."""
    times = [number / 1000 for number in range(1, 101)]
    return Series(requests=[Request("query", "found", seconds) for seconds in times], seconds=2.0)


@pytest.mark.parametrize(("percent", "value"), [(50, 50.0), (95, 95.0), (99, 99.0), (100, 100.0), (0.1, 1.0)])
def test_a_percentile_is_one_of_the_measured_values(percent: float, value: float) -> None:
    assert percentile([float(number) for number in range(1, 101)], percent) == value


def test_the_summary_has_counts_and_latency_in_ms() -> None:
    result = summary(options(), series())
    assert result["requests_per_second"] == 50.0
    assert result["kinds"]["query"] == {
        "requests": 100,
        "outcomes": {"found": 100},
        "latency_ms": {"mean": 50.5, "max": 100.0, "p50": 50.0, "p95": 95.0, "p99": 99.0},
    }


def test_the_report_is_printed_as_json_and_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    print_report(options(json=True), series(), None)
    assert json.loads(capsys.readouterr().out)["kinds"]["query"]["requests"] == 100
    print_report(options(), series(), None)
    assert "100 found" in capsys.readouterr().out
    print_report(options(), Series(), None)
    assert "No request was answered" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("price_cents", "line"), [(2599, "order 7: 2 Tux, 51.98"), (None, "order 7: 2 Tux"), (0, "order 7: 2 Tux, 0.00")]
)
def test_a_buy_prints_its_receipt(capsys: pytest.CaptureFixture[str], price_cents: int | None, line: str) -> None:
    bought = Series(requests=[Request("buy", "bought", 0.1, order=7)], seconds=0.1, price_cents=price_cents)
    buy = Options(mode=3, product="Tux", quantity=2, count=1, clients=1, p=0.0, seed=None, json=False)
    print_report(buy, bought, None)
    assert capsys.readouterr().out.splitlines()[0] == line
