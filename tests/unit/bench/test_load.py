"""Figures of a load: medians, CPU time, and the CPU share of other programs."""

import os
import time

import pytest

from bench.load import CpuTimes, cpu_seconds, median
from tests.unit.bench.sample_results import make_load


def test_median_keeps_the_worst_errors_and_the_worst_latency() -> None:
    median_load = median([make_load(10), make_load(30, errors=2), make_load(20, max_ms=700.0)])
    assert (median_load.per_second, median_load.errors, median_load.max_ms) == (20, 2, 700.0)


def test_the_cpu_time_of_a_process_is_measured() -> None:
    before_s, end_s = cpu_seconds([os.getpid()]), time.process_time() + 0.2
    while time.process_time() < end_s:
        sum(range(10_000))
    assert 0.15 < cpu_seconds([os.getpid()]) - before_s < 1.0


def test_the_cpu_share_of_other_programs_excludes_server_and_benchmark() -> None:
    before, after = CpuTimes(all_s=100, used_s=50, own_s=5), CpuTimes(all_s=110, used_s=58, own_s=7)
    assert after.others_since(before, server_s=4) == pytest.approx(0.2)
