"""The bars of speed: the figures that they judge, and their table."""

from bench import bars
from bench.peers.measure import Cell
from tests.unit.bench.sample_results import make_load, make_results


def test_a_bar_judges_the_median_of_the_rounds_ratios_and_shows_the_worst() -> None:
    cell = Cell(32, "query", "hot")
    # In the second round the machine is four times as slow.
    limit = [make_load(1_000), make_load(250), make_load(1_000)]
    results = make_results({cell: limit}, {cell: [make_load(1_900), make_load(525), make_load(1_700, max_ms=501.0)]})
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
