"""Reports a soak test: compares its last quarter with its second, and writes a table, JSON and figures."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from bench import machine, plots
from bench.program import RESULTS
from bench.soak.figures import draw
from bench.soak.measure import Soak
from bench.workers import MB, leak_limit
from tests.support.books import Books
from tests.support.tiers import NAMES

MAX_WAL_BYTES = 64 * MB
# Allowed growth of a figure from the second quarter to the last. Other programs use the machine too.
MAX_LATENCY_GROWTH = 2.0
MAX_DESCRIPTOR_GROWTH = 1.2


@dataclass(frozen=True)
class Row:
    """A figure that must not grow above `most`."""

    what: str
    settled: float  # in the second quarter
    last: float  # in the last quarter
    most: float  # allowed in the last quarter

    @property
    def grows(self) -> bool:
        return self.last > self.most


def rows(soak: Soak) -> list[Row]:
    """Returns all figures with their limits."""

    def quarters(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
        """Returns the medians of the second quarter and the last. A point is its time in seconds and its value."""
        quarter = soak.seconds / 4
        second = [value for at_s, value in points if quarter <= at_s < 2 * quarter]
        last = [value for at_s, value in points if 3 * quarter <= at_s]
        return statistics.median(second), statistics.median(last)

    found = []
    for name in NAMES:
        settled, last = quarters([(sample.at_s, sample.tiers[name].memory) for sample in soak.samples])
        found.append(Row(f"{name}: memory of its workers, MB", settled / MB, last / MB, leak_limit(settled) / MB))
        for what in ("threads", "descriptors"):
            settled, last = quarters([(sample.at_s, getattr(sample.tiers[name], what)) for sample in soak.samples])
            found.append(Row(f"{name}: {what}", settled, last, settled * MAX_DESCRIPTOR_GROWTH))
    for kind, requests in (("query", soak.queries), ("buy", soak.buys())):
        settled, last = quarters([(begun_s, took_s * 1000) for begun_s, took_s in requests])
        found.append(Row(f"{kind}: p50, ms", settled, last, settled * MAX_LATENCY_GROWTH))
    for log in ("catalog.db-wal", "order.db-wal"):
        most = max(sample.wal_bytes.get(log, 0) for sample in soak.samples) / MB
        found.append(Row(f"{log}: largest, MB", most, most, MAX_WAL_BYTES / MB))
    return found


def report(soak: Soak, books: Books) -> int:
    """Prints the table, writes soak.json, .md and .png, and returns the exit code."""
    table = rows(soak)
    growing = [row.what for row in table if row.grows]
    attempts = soak.shoppers.history.attempts
    facts = {
        "minutes": soak.seconds / 60,
        "kills": soak.kills,
        "buys answered": len(soak.shoppers.answered),
        "orders": len(books.orders),
        "refused": len(books.refused),
        "queries": len(soak.queries),
        "requests without an answer, repeated": sum(attempt.answer is None for attempt in attempts),
        "longest wait for the answer to a buy, s": round(soak.shoppers.worst_s, 1),
    }
    lines = ["| what | second quarter | last quarter | most |", "|---|---:|---:|---:|"]
    lines += [f"| {row.what} | {row.settled:.1f} | {row.last:.1f} | {row.most:.1f} |" for row in table]
    verdict = f"Growing: {', '.join(growing)}." if growing else "Nothing grows; I1 to I6 and the history hold."
    about = "; ".join(f"{fact}: {value:,}" for fact, value in facts.items())
    text = "\n".join([*lines, "", f"{about}.", "", verdict, "", machine.line() + "."]) + "\n"
    print(text)
    title = f"# {facts['minutes']:.0f} minutes of shopping with a kill every minute (`make soak`)"
    (RESULTS / "soak.md").write_text(f"{title}\n\n{text}")
    content = {"about": machine.about(), **facts, "growing": growing, "rows": [asdict(row) for row in table]}
    (RESULTS / "soak.json").write_text(json.dumps(content, indent=1) + "\n")
    plots.save(draw(soak), RESULTS / "soak")
    return 1 if growing else 0
