"""Reports of the benchmarks: medians, bars, tables, and the documents that contain them."""

import os
from pathlib import Path

import apsw
import pytest

from bench import bars, documents, pages, profile, seed
from bench.load import Load, Moment, cpu_seconds, median
from bench.peers.measure import Cell, Row
from bench.peers.report import markdown
from bench.peers.results import Description, Results, read_json, write_json
from domain.checkout import Checkout
from domain.values import MAX_NAME_CHARACTERS, Buy, fold
from wsgi_apps.queries import MAX_LIMIT


def a_load(per_second: float, errors: int = 0, max_ms: float = 9.0, others: float = 0.0) -> Load:
    return Load(
        per_second, p50_ms=1.0, p95_ms=2.0, p99_ms=3.0, max_ms=max_ms,
        over_500_ms=0, errors=errors, cpu_us=100.0, others=others,
    )  # fmt: skip


def test_median_keeps_the_worst_errors_and_the_worst_latency() -> None:
    median_load = median([a_load(10), a_load(30, errors=2), a_load(20, max_ms=700.0)])
    assert (median_load.per_second, median_load.errors, median_load.max_ms) == (20, 2, 700.0)


def test_the_cpu_time_of_a_process_grows() -> None:
    before = cpu_seconds([os.getpid()])
    deadline = before + 0.05
    while cpu_seconds([os.getpid()]) < deadline:
        sum(range(10_000))


def a_store(
    limit: dict[Cell, list[Load]], store: dict[Cell, list[Load]], void: dict[str, str] | None = None
) -> Results:
    """Returns results of a store and of the limit with these loads."""
    measured = (("limit", limit), ("store", store))
    rows = [Row(cell, system, runs) for system, cells in measured for cell, runs in cells.items()]
    systems = [Description(name, name, "none") for name in ("limit", "store")]
    return Results({}, {}, {"rounds": 2, "seconds": 1}, systems, rows, void or {})


def test_a_run_that_broke_a_promise_is_void_in_the_table() -> None:
    cell = Cell(32, "buy", "hot")
    results = a_store({cell: [a_load(1_000)]}, {cell: [a_load(500)]}, {"store": "I2: it oversold"})
    text = markdown(results)
    assert "runs in which a promise was broken" in {bar.what for bar in bars.of_peers(results) if not bar.is_met}
    assert "VOID: store broke a promise: I2: it oversold" in text
    assert "| 32 | store (VOID) | buy | hot | 500 | 500 | 0.50 | 0.50 |" in text


def test_a_bar_judges_the_median_of_the_rounds_ratios_and_shows_the_worst() -> None:
    cell = Cell(32, "query", "hot")
    # In the second round the machine is four times as slow.
    limit = [a_load(1_000), a_load(250), a_load(1_000)]
    results = a_store({cell: limit}, {cell: [a_load(1_900), a_load(525), a_load(1_700, max_ms=501.0)]})
    lines = {bar.what: bar for bar in bars.of_peers(results)}
    of_limit, slowest = lines["32 clients: queries, ratio to the limit"], lines["slowest request of all, ms"]
    assert (of_limit.measured, of_limit.worst, of_limit.is_met) == (1.9, 1.7, True)
    assert (slowest.measured, slowest.is_met) == (501, False)
    unmeasured = lines["32 clients: queries, ratio to PocketBase"]
    assert (unmeasured.measured, unmeasured.is_met) == (None, False)
    assert bars.table([of_limit, slowest, unmeasured]).splitlines()[2:] == [
        "| 32 clients: queries, ratio to the limit | 1.80 at least | 2 | 1.90 | 1.70 | yes |",
        "| slowest request of all, ms | 500 at most |  | 501 | 501 | **no** |",
        "| 32 clients: queries, ratio to PocketBase | 1.30 at least |  |  |  | not measured |",
    ]


def test_growth_compares_the_largest_store_with_the_smallest_and_memory_with_a_fifth() -> None:
    rows = [
        {"orders": 0, "products": 10, "series": series, series: size, "kind": kind, "throughput_ratios": [0.8, 0.95, 1]}
        for series, sizes in (("orders", (0, 1_000_000)), ("products", (10, 100_000)))
        for size in sizes
        for kind in ("query", "buy")
    ]
    growth = list(bars.of_growth({"rows": rows}))
    assert [round(bar.measured or 0, 2) for bar in growth] == [1.05] * 4
    assert [bar.worst for bar in growth] == [1.25] * 4
    assert all(bar.is_met for bar in growth)
    workers = [{"settled_mb": 30.0, "last_mb": last} for last in (30.0, 33.0)]
    [memory] = bars.of_memory({"orders": 100_000, "settled_after": 20_000, "workers": workers})
    assert (memory.measured, memory.is_met) == (1.1, False)


def test_read_json_returns_the_written_results(tmp_path: Path) -> None:
    cells = {Cell(clients, "buy", "hot"): [a_load(10.5), a_load(7)] for clients in (1, 32)}
    results = a_store(cells, cells, {"store": "I1"})
    write_json(results, tmp_path / "results.json")
    assert read_json(tmp_path / "results.json") == results


def test_the_report_has_the_share_of_others_for_each_round() -> None:
    cells = {
        Cell(clients, "buy", "hot"): [a_load(10, others=share), a_load(10)] for clients, share in ((1, 0.1), (32, 0.3))
    }
    assert "round by round: 20% (at most 30% beside one load), 0% (at most 0% beside one load)." in markdown(
        a_store(cells, cells)
    )


def test_the_share_of_others_excludes_server_and_benchmark() -> None:
    before, after = Moment(all_s=100, used_s=50, own_s=5), Moment(all_s=110, used_s=58, own_s=7)
    assert after.others_since(before, server_s=4) == pytest.approx(0.2)


def test_the_check_after_a_load_finds_a_missing_order(tmp_path: Path, checkout: Checkout) -> None:
    for number in range(3):
        checkout.place(Buy(f"k{number}", "Tux", 1))
    seed.check(tmp_path)
    with apsw.Connection(str(tmp_path / "order.db")) as connection:
        connection.execute("DROP TRIGGER orders_delete; DELETE FROM orders WHERE number = 1")
    with pytest.raises(seed.BrokenPromise, match="I1"):
        seed.check(tmp_path)


def test_a_load_that_delays_buys_above_the_bar_is_not_met() -> None:
    fast = pages.Row("quick", 64, True, 20.0, 40.0, ratio=2.0, worst_ratio=3.0, answers_per_second=1_234.0, errors=0)
    slow = pages.Row("slow", 8, True, 41.0, 90.0, ratio=2.05, worst_ratio=2.5, answers_per_second=3.25, errors=7)
    free = pages.Row("free", 8, False, 41.0, 90.0, ratio=9.0, worst_ratio=9.0, answers_per_second=3.0, errors=0)
    assert pages.table([fast, slow, free]).splitlines()[2:] == [
        "| quick | 64 | 20.0 | 40.0 | 2.00 | 3.00 | 2 | yes | 1,234 | 0 |",
        "| slow | 8 | 41.0 | 90.0 | 2.05 | 2.50 | 2 | **no** | 3.2 | 7 |",
        "| free | 8 | 41.0 | 90.0 | 9.00 | 9.00 |  |  | 3.0 | 0 |",
    ]


def test_the_products_of_bench_pages_have_the_longest_names_and_no_q() -> None:
    names = list(pages.product_names())
    assert len(names) == len(set(names)) == pages.PRODUCTS
    longest = sorted(name for name in names if name > "Tux")
    assert {len(name) for name in longest} == {MAX_NAME_CHARACTERS}
    assert len(longest) == MAX_LIMIT
    for q in ("zzzz", "q"):
        assert not [name for name in names if fold(q) in fold(name)]


@pytest.mark.parametrize("document", documents.DOCUMENTS, ids=lambda path: path.name)
def test_a_document_has_the_measured_figures(document: Path) -> None:
    """After a failure, run `make bench-documents`."""
    text = document.read_text()
    assert "<!-- measured: " in text
    assert documents.filled(text) == text


@pytest.mark.parametrize(
    "stack, place",
    [
        (["server/request.py:parse", "server/worker.py:StoreWorker.run"], "`server/request.py`"),
        (["json/decoder.py:decode", "wsgi_apps/wire.py:decode_buys"], "`wsgi_apps/wire.py`"),
        (["<string>:__init__", "threading.py:Thread.run", "domain/values.py:parse_name"], "`domain/values.py`"),
        (["werkzeug/routing/matcher.py:match", "wsgi_apps/base.py:App"], "werkzeug/routing"),
        (["gunicorn/workers/base.py:notify", "server/worker.py:StoreWorker.run"], "gunicorn/workers"),
        (["threading.py:Thread.run"], "elsewhere"),
    ],
)
def test_a_sample_belongs_to_a_file_of_the_store_or_a_package_of_a_library(stack: list[str], place: str) -> None:
    assert profile.place_of(stack) == place
