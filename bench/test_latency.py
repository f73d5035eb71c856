"""Measures one shopper's latency of a query and of a buy, alone and beside up to four others that do the same.

The others are the store's client, a process of its own: in threads they would hold the interpreter lock of the measured
shopper. `make bench` runs it; then `python -m bench.test_latency` draws the results and writes a table.
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
MODES = {"query": "2", "buy": "3"}  # of the client


@pytest.mark.parametrize("clients", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("kind", ["query", "buy"])
def test_latency(benchmark: BenchmarkFixture, store: Tiers, rounds: int, kind: str, clients: int) -> None:
    benchmark.group = kind
    url = store.url("front_end")
    method, path = ("GET", "/products/Tux") if kind == "query" else ("POST", "/Tux/1")
    with session() as shop, other_shoppers(store, kind, clients - 1):

        def ask() -> requests.Response:
            return shop.request(method, url + path, timeout=10)

        response = benchmark.pedantic(ask, rounds=rounds, warmup_rounds=WARM_UP_ROUNDS)
    assert response.status_code == 200
    if benchmark.stats is None:  # --benchmark-disable: the request has succeeded, and nothing is measured
        return
    latencies_s = sorted(benchmark.stats.stats.data)
    for percent in (50, 95, 99):
        benchmark.extra_info[f"p{percent}_ms"] = round(percentile(latencies_s, percent) * 1000, 3)
    benchmark.extra_info |= {"max_ms": round(latencies_s[-1] * 1000, 3), "clients": clients, "requests": rounds}


@contextmanager
def other_shoppers(store: Tiers, kind: str, clients: int) -> Iterator[None]:
    """Runs other shoppers until the end of the block."""
    if clients == 0:
        yield
        return
    arguments = ["--mode", MODES[kind], "--product", "Tux", "--quantity", "1", "--count", "100000000"]
    command = [sys.executable, "-m", "client", *arguments, "--clients", str(clients)]
    client = subprocess.Popen(command, cwd=ROOT, env=store.environment, stdout=subprocess.DEVNULL)
    try:
        yield
        assert client.poll() is None, "the other shoppers ended before the measurement"
    finally:
        client.terminate()
        client.wait()


def draw(benchmarks: Sequence[Mapping[str, Any]]) -> Figure:
    """Draws the latency over the clients, for queries and for buys, from pytest-benchmark's JSON."""
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
    figure.suptitle("Latency of one shopper")
    requests_a_point = benchmarks[0]["extra_info"]["requests"]
    plots.caption(
        figure, f"{requests_a_point:,} requests of one shopper for each point; the others send the same requests."
    )
    return figure


def table(benchmarks: Sequence[Mapping[str, Any]]) -> str:
    """Returns the latencies and the slowest request as a Markdown table."""
    lines = ["| shoppers at once | what | p50 ms | p95 ms | p99 ms | max ms |", "|---:|---|---:|---:|---:|---:|"]
    for one in benchmarks:
        info = one["extra_info"]
        times = (f"{info[name]:.2f}" for name in ("p50_ms", "p95_ms", "p99_ms", "max_ms"))
        lines.append(f"| {info['clients']} | {one['group']} | {' | '.join(times)} |")
    return "\n".join(lines)


def main() -> None:
    """Writes latency.png and latency.md from latency.json, pytest-benchmark's file."""
    benchmarks = json.loads((RESULTS / "latency.json").read_text())["benchmarks"]
    plots.save(draw(benchmarks), RESULTS / "latency")
    text = "\n\n".join(["# Latency of one shopper (`make bench`)", machine.line() + ".", table(benchmarks)])
    (RESULTS / "latency.md").write_text(text + "\n")


if __name__ == "__main__":
    main()
