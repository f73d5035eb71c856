"""The results as JSON and as a Markdown table."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.peers.measure import Row
from bench.peers.system import System

LIMIT = "limit"


@dataclass(frozen=True)
class Results:
    """All that was measured. `void` has, for each system that broke a promise, which one."""

    machine: Mapping[str, str]
    versions: Mapping[str, str]
    options: Mapping[str, Any]
    systems: Sequence[System]
    rows: Sequence[Row]
    void: Mapping[str, str]

    def label(self, system: str) -> str:
        return f"{system} (VOID)" if system in self.void else system

    def ratio_to_limit(self, row: Row) -> float | None:
        """Of the rates, under the same load; None when the limit was not measured."""
        for other in self.rows:
            if (other.system, other.cell) == (LIMIT, row.cell):
                return row.load.per_second / other.load.per_second
        return None


def write_json(results: Results, path: Path) -> None:
    content = {
        "machine": results.machine,
        "versions": results.versions,
        "options": results.options,
        "systems": {
            system.name: {
                "about": system.about,
                "durability": system.durability,
                "void": results.void.get(system.name),
            }
            for system in results.systems
        },
        "rows": [
            {
                **asdict(row.cell),
                "system": row.system,
                **asdict(row.load),
                "ratio_to_limit": results.ratio_to_limit(row),
                "void": row.system in results.void,
            }
            for row in results.rows
        ],
    }
    path.write_text(json.dumps(content, indent=2) + "\n")


def markdown(results: Results) -> str:
    return "\n".join([*_about(results), "", *_systems(results), "", *_figures(results), ""])


def _about(results: Results) -> list[str]:
    facts = "; ".join(f"{name} {value}" for name, value in {**results.machine, **results.versions}.items())
    rounds, seconds = results.options["rounds"], results.options["seconds"]
    return [
        "# The store beside its peers",
        "",
        facts + ".",
        "",
        f"Each figure is the median of {rounds} interleaved rounds of {seconds} s; max ms and errors are the worst.",
        "Hot: one product for all clients; spread: 1,000 products in turn. CPU is that of all processes of the system.",
        *(f"\n**VOID: {name} broke a promise: {why}**" for name, why in results.void.items()),
    ]


def _systems(results: Results) -> list[str]:
    lines = ["| system | what it is | durability |", "|---|---|---|"]
    return lines + [
        f"| {results.label(system.name)} | {system.about} | {system.durability} |" for system in results.systems
    ]


def _figures(results: Results) -> list[str]:
    heads = ["clients", "system", "request", "products", "requests/s", "of the limit"]
    heads += ["p50 ms", "p95 ms", "p99 ms", "max ms", "errors", "CPU µs a request"]
    lines = [f"| {' | '.join(heads)} |", "|---:|---|---|---|" + "---:|" * (len(heads) - 4)]
    for row in results.rows:
        ratio, figures = results.ratio_to_limit(row), row.load
        cells = (
            row.cell.clients,
            results.label(row.system),
            row.cell.kind,
            row.cell.spread,
            f"{figures.per_second:,.0f}",
            "" if ratio is None else f"{ratio:.2f}",
            *(f"{ms:,.2f}" for ms in (figures.p50_ms, figures.p95_ms, figures.p99_ms, figures.max_ms)),
            f"{figures.errors:,}",
            f"{figures.cpu_us:,.0f}",
        )
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return lines
