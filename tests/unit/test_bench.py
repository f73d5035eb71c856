"""What the benchmarks say of their figures."""

import os
from pathlib import Path

import apsw
import pytest

from bench import pages, seed
from bench.load import Load, cpu_seconds, median
from bench.peers.measure import Cell, Row
from bench.peers.report import Results, markdown
from domain.checkout import Checkout
from domain.values import MAX_NAME_CHARACTERS, Buy, fold
from wsgi_apps.queries import MAX_LIMIT


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


def test_a_load_that_holds_buys_up_for_longer_than_the_bar_says_so() -> None:
    fast = pages.Row("quick", 64, True, 20.0, 40.0, ratio=2.0, worst_ratio=3.0, answers_per_second=1_234.0, errors=0)
    slow = pages.Row("slow", 8, True, 41.0, 90.0, ratio=2.05, worst_ratio=2.5, answers_per_second=3.25, errors=7)
    free = pages.Row("free", 8, False, 41.0, 90.0, ratio=9.0, worst_ratio=9.0, answers_per_second=3.0, errors=0)
    assert pages.table([fast, slow, free]).splitlines()[2:] == [
        "| quick | 64 | 20.0 | 40.0 | 2.00 | 3.00 | 2 | yes | 1,234 | 0 |",
        "| slow | 8 | 41.0 | 90.0 | 2.05 | 2.50 | 2 | **no** | 3.2 | 7 |",
        "| free | 8 | 41.0 | 90.0 | 9.00 | 9.00 |  |  | 3.0 | 0 |",
    ]


def test_the_bench_of_pages_has_the_largest_pages_and_searches_that_find_nothing() -> None:
    names = list(pages.product_names())
    assert len(names) == len(set(names)) == pages.PRODUCTS
    longest = sorted(name for name in names if name > "Tux")
    assert {len(name) for name in longest} == {MAX_NAME_CHARACTERS}
    assert len(longest) == MAX_LIMIT
    for q in ("zzzz", "q"):
        assert not [name for name in names if fold(q) in fold(name)]
