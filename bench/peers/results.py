"""The results: the figures of each round, in memory and as JSON, without the samples behind them."""

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from bench.load import Load
from bench.peers.measure import Cell, Row

LIMIT = "limit"


@dataclass(frozen=True)
class Description:
    """The description of a system for the report."""

    name: str
    about: str
    durability: str


@dataclass(frozen=True)
class Results:
    """All figures of a run. `void` has the broken promise of each system that broke one."""

    machine: Mapping[str, str]
    versions: Mapping[str, str]
    options: Mapping[str, Any]
    systems: Sequence[Description]
    rows: Sequence[Row]
    void: Mapping[str, str]

    def label(self, system: str) -> str:
        """Returns the name of a system, marked when its run is void."""
        return f"{system} (VOID)" if system in self.void else system

    def row(self, system: str, cell: Cell) -> Row | None:
        """Returns the rounds of a system under a load, or None when they were not measured."""
        return next((row for row in self.rows if (row.system, row.cell) == (system, cell)), None)

    def ratios_to_limit(self, row: Row) -> list[float]:
        """Returns the ratio of the rates in each round; an empty list when the limit was not measured."""
        limit = self.row(LIMIT, row.cell)
        return [] if limit is None else ratios(row, limit, "per_second")

    def others(self) -> list[tuple[float, float]]:
        """Returns for each round the share of the CPU time that other processes used: mean and maximum of its loads."""
        rounds = zip(*([run.others for run in row.runs] for row in self.rows), strict=True)
        return [(statistics.mean(one), max(one)) for one in rounds]


def ratios(row: Row, other: Row, figure: str) -> list[float]:
    """Returns the ratio of each round. A slow machine slows both figures of a round, so the ratio is fair."""
    return [getattr(one, figure) / getattr(two, figure) for one, two in zip(row.runs, other.runs, strict=True)]


def write_json(results: Results, path: Path) -> None:
    """Writes the results, one line for each row."""
    head = {
        "machine": results.machine,
        "versions": results.versions,
        "options": results.options,
        "systems": [{**asdict(one), "void": results.void.get(one.name)} for one in results.systems],
    }
    rows = ",\n".join(f"  {json.dumps(_columns(row))}" for row in results.rows)
    path.write_text(json.dumps(head, indent=1).removesuffix("\n}") + f',\n "rows": [\n{rows}\n ]\n}}\n')


def read_json(path: Path) -> Results:
    """Returns the results of a file that `write_json` wrote."""
    facts = json.loads(path.read_text())
    void = {one["name"]: one["void"] for one in facts["systems"] if one["void"]}
    systems = [Description(one["name"], one["about"], one["durability"]) for one in facts["systems"]]
    rows = [_row(columns) for columns in facts["rows"]]
    return Results(facts["machine"], facts["versions"], facts["options"], systems, rows, void)


def _columns(row: Row) -> dict[str, Any]:
    """Returns a line of the file: for each figure a list with the values of the rounds."""
    figures = {field.name: [round(getattr(run, field.name), 3) for run in row.runs] for field in fields(Load)}
    return {**asdict(row.cell), "system": row.system, **figures}


def _row(columns: Mapping[str, Any]) -> Row:
    """Returns the row of a line that `_columns` made."""
    names = [field.name for field in fields(Load)]
    runs = zip(*(columns[name] for name in names), strict=True)
    cell = Cell(columns["clients"], columns["kind"], columns["spread"])
    return Row(cell, columns["system"], [Load(**dict(zip(names, run, strict=True))) for run in runs])
