"""Made-up figures for the tests of the benchmarks."""

from bench.load import Load
from bench.peers.measure import Cell, Row
from bench.peers.results import Description, Results


def make_load(per_second: float, errors: int = 0, max_ms: float = 9.0, others: float = 0.0) -> Load:
    """Returns a load with these figures. Its quantiles of latency are always the same."""
    return Load(
        per_second, p50_ms=1.0, p95_ms=2.0, p99_ms=3.0, max_ms=max_ms,
        over_500_ms=0, errors=errors, cpu_us=100.0, others=others,
    )  # fmt: skip


def make_results(
    limit: dict[Cell, list[Load]], store: dict[Cell, list[Load]], void: dict[str, str] | None = None
) -> Results:
    """Returns results of a store and of the limit with these loads."""
    measured = (("limit", limit), ("store", store))
    rows = [Row(cell, system, runs) for system, cells in measured for cell, runs in cells.items()]
    systems = [Description(name, name, "none") for name in ("limit", "store")]
    return Results({}, {}, {"rounds": 2, "seconds": 1}, systems, rows, void or {})
