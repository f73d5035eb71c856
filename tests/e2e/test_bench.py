"""The latency benchmark under the options of pytest-benchmark that people give it. Its figures mean nothing here."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.test_latency import draw
from tests.tiers import ROOT, clean_environment


@pytest.fixture
def bench(tmp_path: Path) -> list[str]:
    """Measures alone, by few requests, and leaves nothing in the repository."""
    return [sys.executable, "-m", "pytest", "bench", "-k", "1]", "--rounds", "5", f"--benchmark-storage={tmp_path}"]


def run(command: list[str]) -> str:
    ended = subprocess.run(command, cwd=ROOT, env=clean_environment(), capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_without_measuring_each_request_is_made_all_the_same(bench: list[str]) -> None:
    assert "2 passed" in run([*bench, "--benchmark-disable"])


def test_a_histogram_is_drawn_and_the_figures_are_kept(bench: list[str], tmp_path: Path) -> None:
    kept = tmp_path / "latency.json"
    run([*bench, f"--benchmark-histogram={tmp_path}/drawn", f"--benchmark-json={kept}"])
    assert {path.name for path in tmp_path.glob("*.svg")} == {"drawn-buy.svg", "drawn-query.svg"}
    benchmarks = json.loads(kept.read_text())["benchmarks"]
    assert [one["extra_info"]["requests"] for one in benchmarks] == [5, 5]
    assert all(one["extra_info"]["p50_ms"] <= one["extra_info"]["p99_ms"] for one in benchmarks)
    assert any("5 requests a point" in text.get_text() for text in draw(benchmarks).texts)
