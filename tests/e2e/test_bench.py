"""Runs the benchmark of latency with five requests, and checks its report, not its figures."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench import memory
from bench.test_latency import draw, table
from bench.workers import MB
from tests.support.tiers import ROOT, clean_environment


@pytest.fixture
def bench(tmp_path: Path) -> list[str]:
    """Returns the command of a benchmark of one client and five rounds that writes nothing into the repository."""
    return [sys.executable, "-m", "pytest", "bench", "-k", "1]", "--rounds", "5", f"--benchmark-storage={tmp_path}"]


def run(command: list[str]) -> str:
    """Runs a command that must succeed, and returns its output."""
    ended = subprocess.run(command, cwd=ROOT, env=clean_environment(), capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_benchmark_disable_still_sends_each_request(bench: list[str]) -> None:
    assert "2 passed" in run([*bench, "--benchmark-disable"])


def test_a_histogram_is_drawn_and_the_figures_are_kept(bench: list[str], tmp_path: Path) -> None:
    written = tmp_path / "latency.json"
    run([*bench, f"--benchmark-histogram={tmp_path}/drawn", f"--benchmark-json={written}"])
    assert {path.name for path in tmp_path.glob("*.svg")} == {"drawn-buy.svg", "drawn-query.svg"}
    benchmarks = json.loads(written.read_text())["benchmarks"]
    assert [one["extra_info"]["requests"] for one in benchmarks] == [5, 5]
    infos = [one["extra_info"] for one in benchmarks]
    assert all(info["p50_ms"] <= info["p99_ms"] <= info["max_ms"] for info in infos)
    slowest = infos[0]["max_ms"]
    assert table(benchmarks).splitlines()[2].endswith(f"| {slowest:.2f} |")
    assert any("5 requests of one shopper for each point" in text.get_text() for text in draw(benchmarks).texts)


def test_a_worker_that_grows_after_a_fifth_of_the_buys_leaks() -> None:
    def row(last_mb: int) -> memory.Row:
        line = [(0, 20), (20_000, 30), (60_000, 50), (100_000, last_mb)]
        samples = [memory.Sample(mb * MB, threads=3, descriptors=9, orders=orders) for orders, mb in line]
        return memory.row("order 1", samples, fifth=20_000)

    assert (row(38).settled_mb, row(38).most_mb) == (30, 50)
    assert not row(38).grows, "growth of 10 % and 5 MB is no leak"
    assert row(39).grows
