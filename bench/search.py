"""Compares ways to search 100,000 names in SQLite, without tiers: `python -m bench.search`.

Each way finds the first page of the products whose names contain `q`, ordered by name. The figures are the CPU time of
the fastest of some runs, and the size of the file.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import apsw

from bench import machine
from bench.pages import PRODUCTS, product_names
from bench.program import RESULTS, run
from domain.values import fold

RUNS = 5
LIMIT = 100
# Descriptions and queries. The names are those of bench.pages.
SEARCHES = {
    "finds nothing": "zzzz",
    "one letter, finds nothing": "q",
    "finds nothing, but every part of it is common": "of-a-middling-length-of",
    "finds one name": "090909",
    "finds some twenty": "0909",
    "finds all": "product",
}

_PRODUCTS = """
    CREATE TABLE products (
        name TEXT NOT NULL PRIMARY KEY, price_cents INTEGER NOT NULL, quantity INTEGER NOT NULL,
        retired INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID"""


@dataclass(frozen=True)
class Way:
    """SQL that stores names (`schema`, `fill`) and searches them (`query`). `q` needs `min_characters`."""

    name: str
    schema: str
    fill: str
    query: str
    min_characters: int = 1


WAYS = (
    Way(
        "a Python function for each name (as it was)",
        "",
        "",
        "SELECT name FROM products WHERE NOT retired AND instr(casefold(name), :q) ORDER BY name LIMIT :limit",
    ),
    Way(
        "the folded name in the row (as it is)",
        "ALTER TABLE products ADD COLUMN folded TEXT NOT NULL DEFAULT ''",
        "UPDATE products SET folded = casefold(name)",
        "SELECT name FROM products WHERE retired = 0 AND instr(folded, :q) ORDER BY name LIMIT :limit",
    ),
    Way(
        "the same, with an index of name and folded name",
        "ALTER TABLE products ADD COLUMN folded TEXT NOT NULL DEFAULT '';"
        "CREATE INDEX folded_names ON products (name, folded, retired)",
        "UPDATE products SET folded = casefold(name)",
        "SELECT name FROM products INDEXED BY folded_names WHERE retired = 0 AND instr(folded, :q) "
        "ORDER BY name LIMIT :limit",
    ),
    Way(
        "an index of three letters each (FTS5 trigram)",
        "CREATE VIRTUAL TABLE names USING fts5(name UNINDEXED, folded, tokenize = 'trigram case_sensitive 1')",
        "INSERT INTO names SELECT name, casefold(name) FROM products",
        """SELECT name FROM names JOIN products USING (name)
        WHERE names MATCH '"' || replace(:q, '"', '""') || '"' AND retired = 0 ORDER BY name LIMIT :limit""",
        min_characters=3,
    ),
)


def main() -> int:
    """Measures all ways, and writes the table."""
    argparse.ArgumentParser(prog="bench.search", description=__doc__.partition("\n\n")[0]).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measured = [measure(way, Path(folder, f"{number}.db")) for number, way in enumerate(WAYS)]
    text = (
        "\n\n".join([f"CPU ms, the fastest of {RUNS} runs, limit {LIMIT}.", machine.line() + ".", table(measured)])
        + "\n"
    )
    print(text)
    (RESULTS / "search.md").write_text("# A search over 100,000 names (`python -m bench.search`)\n\n" + text)
    return 0


def measure(way: Way, path: Path) -> list[float | None]:
    """Returns the size of the file in MB, then the CPU time of each search in ms, None where `q` is too short."""
    with closing(apsw.Connection(str(path))) as connection:
        connection.create_scalar_function("casefold", lambda *text: fold(str(text[0])), 1, deterministic=True)
        connection.pragma("journal_mode", "wal")
        with connection:
            connection.execute(_PRODUCTS)
            rows = ((name, 999, 5) for name in product_names())
            connection.executemany("INSERT INTO products (name, price_cents, quantity) VALUES (?, ?, ?)", rows)
            connection.execute(way.schema).fetchall()
            connection.execute(way.fill).fetchall()
        connection.execute("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        size_mb = os.stat(path).st_size / 1e6
        times = [_cpu_ms(connection, way, q) if len(q) >= way.min_characters else None for q in SEARCHES.values()]
    return [size_mb, *times]


def _cpu_ms(connection: apsw.Connection, way: Way, q: str) -> float:
    """Returns the CPU time of the fastest run of a search."""
    times = []
    for _ in range(RUNS):
        begun = time.process_time()
        connection.execute(way.query, {"q": q, "limit": LIMIT}).fetchall()
        times.append(1000 * (time.process_time() - begun))
    return min(times)


def table(measured: Sequence[Sequence[float | None]]) -> str:
    """Returns a Markdown table with a column for each way."""
    rows = {f"MB of the file with {PRODUCTS:,} products": 0}
    rows |= {f"{what}: `{q}`": number for number, (what, q) in enumerate(SEARCHES.items(), start=1)}
    lines = [f"| | {' | '.join(way.name for way in WAYS)} |", f"|---|{'---:|' * len(WAYS)}"]
    for name, number in rows.items():
        figures = [column[number] for column in measured]
        cells = ["cannot" if figure is None else f"{figure:.2f}" for figure in figures]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    run(main)
