"""What one shopper waits for a query and for a buy, alone and beside up to four others who do the same.

The others are a process of their own, the store's client, so that they do not slow the measuring one down by sharing
its interpreter. Run it by `make bench`, which then tells the result as a plot and a
table: `python -m bench.test_latency`.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from matplotlib.figure import Figure
from pytest_benchmark.fixture import BenchmarkFixture

from bench import machine, plots
from bench.program import RESULTS
from client.report import percentile
from tests.support.shoppers import session
from tests.support.tiers import ROOT, Tiers

WARM_UP_ROUNDS = 50
MODES = {"query": "2", "buy": "3"}


@pytest.mark.parametrize("clients", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("kind", ["query", "buy"])
def test_latency(benchmark: BenchmarkFixture, store: Tiers, rounds: int, kind: str, clients: int) -> None:
    benchmark.group = kind
    url = store.url("front_end")
    method, path = ("GET", "/products/Tux") if kind == "query" else ("POST", "/Tux/1")
    with session() as shop, others(store, kind, clients - 1):

        def ask() -> requests.Response:
            return shop.request(method, url + path, timeout=10)

        response = benchmark.pedantic(ask, rounds=rounds, warmup_rounds=WARM_UP_ROUNDS)
    assert response.status_code == 200
    if benchmark.stats is None:  # --benchmark-disable: one request of each kind was to work, and has
        return
    waited = sorted(benchmark.stats.stats.data)
    for percent in (50, 95, 99):
        benchmark.extra_info[f"p{percent}_ms"] = round(percentile(waited, percent) * 1000, 3)
    benchmark.extra_info |= {"max_ms": round(waited[-1] * 1000, 3), "clients": clients, "requests": rounds}


@contextmanager
def others(store: Tiers, kind: str, clients: int) -> Iterator[None]:
    """So many other shoppers at work, until the end of the block."""
    if clients == 0:
        yield
        return
    arguments = ["--mode", MODES[kind], "--product", "Tux", "--quantity", "1", "--count", "100000000"]
    command = [sys.executable, "-m", "client", *arguments, "--clients", str(clients)]
    crowd = subprocess.Popen(command, cwd=ROOT, env=store.environment, stdout=subprocess.DEVNULL)
    try:
        yield
        assert crowd.poll() is None, "the others stopped before the measurement was over"
    finally:
        crowd.terminate()
        crowd.wait()


def draw(benchmarks: Sequence[Mapping[str, Any]]) -> Figure:
    """Latency over clients, a query beside a buy, of what pytest-benchmark wrote down in its JSON."""
    figure, [axes] = plots.panels(1, len(MODES), width_in=9, height_in=4.5)
    for panel, kind in zip(axes, MODES, strict=True):
        points = sorted(
            (one["extra_info"] for one in benchmarks if one["group"] == kind), key=lambda info: info["clients"]
        )
        clients = [info["clients"] for info in points]
        p50, p95, p99 = ([info[f"p{percent}_ms"] for info in points] for percent in (50, 95, 99))
        color = plots.COLOR_OF[kind]
        panel.plot(clients, p99, color=color, marker="_", markersize=12, linestyle="none", label="p99")
        panel.fill_between(clients, p50, p95, color=color, alpha=0.2, linewidth=0, label="p50 to p95")
        panel.plot(clients, p50, color=color, marker=plots.MARKER_OF[kind], label="p50")
        panel.set_title(kind)
        panel.set_xlabel("shoppers at once")
        panel.set_ylabel("ms")
        panel.set_xticks(clients)
        panel.legend(loc="upper left")
    highest = max(panel.get_ylim()[1] for panel in axes)
    for panel in axes:
        panel.set_ylim(0, highest)  # one scale, to compare by eye
    figure.suptitle("What one shopper waits for")
    requests_a_point = benchmarks[0]["extra_info"]["requests"]
    plots.caption(figure, f"{requests_a_point:,} requests a point, of one shopper; the others do the same meanwhile.")
    return figure


def table(benchmarks: Sequence[Mapping[str, Any]]) -> str:
    """The same in Markdown, with the slowest request."""
    lines = ["| shoppers at once | what | p50 ms | p95 ms | p99 ms | max ms |", "|---:|---|---:|---:|---:|---:|"]
    for one in benchmarks:
        info = one["extra_info"]
        times = (f"{info[name]:.2f}" for name in ("p50_ms", "p95_ms", "p99_ms", "max_ms"))
        lines.append(f"| {info['clients']} | {one['group']} | {' | '.join(times)} |")
    return "\n".join(lines)


def main() -> None:
    benchmarks = json.loads((RESULTS / "latency.json").read_text())["benchmarks"]
    plots.save(draw(benchmarks), RESULTS / "latency")
    text = "\n\n".join(["# What one shopper waits for (`make bench`)", machine.line() + ".", table(benchmarks)])
    (RESULTS / "latency.md").write_text(text + "\n")


if __name__ == "__main__":
    main()
