"""What a series came to, as a table or as JSON."""

import json
import math
from collections import Counter
from typing import Any

from rich.console import Console
from rich.table import Table

from client.series import Series


def percentile(sorted_values: list[float], percent: float) -> float:
    """The smallest value that at least `percent` % of the values do not exceed (nearest rank)."""
    return sorted_values[max(0, math.ceil(len(sorted_values) * percent / 100) - 1)]


def summary(series: Series) -> dict[str, Any]:
    """Requests, outcomes and latency (ms) of each kind of request."""
    kinds = {}
    for kind in ("query", "buy"):
        of_kind = [request for request in series.requests if request.kind == kind]
        if not of_kind:
            continue
        times = sorted(request.seconds * 1000 for request in of_kind)
        latency = {"mean": sum(times) / len(times), "max": times[-1]}
        latency |= {f"p{percent}": percentile(times, percent) for percent in (50, 95, 99)}
        kinds[kind] = {
            "requests": len(of_kind),
            "outcomes": dict(Counter(request.outcome for request in of_kind).most_common()),
            "latency_ms": {name: round(value, 3) for name, value in latency.items()},
        }
    return {
        "seconds": round(series.seconds, 3),
        "requests_per_second": round(len(series.requests) / series.seconds, 1) if series.seconds else 0.0,
        "interrupted": series.interrupted,
        "failure": series.failure,
        "kinds": kinds,
    }


def print_json(series: Series) -> None:
    print(json.dumps(summary(series), ensure_ascii=False, indent=2))


def print_table(series: Series) -> None:
    result = summary(series)
    table = Table(caption=f"{result['seconds']} s, {result['requests_per_second']} requests/s", caption_justify="left")
    for name in ("", "requests", "outcomes", "mean ms", "p50", "p95", "p99"):
        table.add_column(name, justify="left" if name in ("", "outcomes") else "right")
    for kind, row in result["kinds"].items():
        outcomes = "\n".join(f"{count} {outcome}" for outcome, count in row["outcomes"].items())
        latency = [f"{row['latency_ms'][name]:.2f}" for name in ("mean", "p50", "p95", "p99")]
        table.add_row(kind, str(row["requests"]), outcomes, *latency)
    Console().print(table if result["kinds"] else "No request was answered.", highlight=False)
