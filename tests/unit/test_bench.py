"""What the benchmarks say of their figures."""

import os
from pathlib import Path

import apsw
import pytest

from bench import seed
from bench.load import Load, cpu_seconds, median
from bench.peers.measure import Cell, Row
from bench.peers.report import Results, markdown
from domain.checkout import Checkout
from domain.values import Buy


def a_load(per_second: float, errors: int = 0, max_ms: float = 9.0) -> Load:
    return Load(per_second, p50_ms=1.0, p95_ms=2.0, p99_ms=3.0, max_ms=max_ms, errors=errors, cpu_us=100.0)


def test_a_figure_is_the_median_of_its_rounds_and_the_worst_stays_visible() -> None:
    together = median([a_load(10), a_load(30, errors=2), a_load(20, max_ms=700.0)])
    assert (together.per_second, together.errors, together.max_ms) == (20, 2, 700.0)


def test_the_cpu_time_of_a_process_grows() -> None:
    before = cpu_seconds([os.getpid()])
    deadline = before + 0.05
    while cpu_seconds([os.getpid()]) < deadline:
        sum(range(10_000))


def test_a_run_that_broke_a_promise_is_void_in_the_table() -> None:
    cell = Cell(32, "buy", "hot")
    rows = [Row(cell, "limit", a_load(1_000)), Row(cell, "store", a_load(500))]
    results = Results({}, {}, {"rounds": 1, "seconds": 1}, [], rows, void={"store": "I2: it oversold"})
    text = markdown(results)
    assert "VOID: store broke a promise: I2: it oversold" in text
    assert "| 32 | store (VOID) | buy | hot | 500 | 0.50 |" in text


def test_the_check_after_a_load_finds_an_order_that_is_missing(tmp_path: Path, checkout: Checkout) -> None:
    for number in range(3):
        checkout.place(Buy(f"k{number}", "Tux", 1))
    seed.check(tmp_path)
    with apsw.Connection(str(tmp_path / "order.db")) as forger:
        forger.execute("DROP TRIGGER orders_delete; DELETE FROM orders WHERE number = 1")
    with pytest.raises(seed.BrokenPromise, match="I1"):
        seed.check(tmp_path)
