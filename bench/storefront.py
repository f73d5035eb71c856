"""Compares the CPU time of the shop's pages with that of their JSON: `make bench-storefront`. It needs wrk.

The grid, `GET /`, is compared with `/products?limit=24`, which has the same products, and the page of a product with
`/products/<name>`. Each round loads all four in turn, so that a slow machine slows page and JSON. The bar is twice the
CPU time of the JSON, that of all tiers together. Nobody buys meanwhile.

The address of a product's page has the key of its form. A browser that asks without one is redirected first, which is
not measured.
"""

import argparse
import json
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench import machine, seed
from bench.load import Request, cpu_seconds, load, require_wrk
from bench.program import RESULTS, in_round, print_progress, run
from tests.support.tiers import NAMES as TIER_NAMES
from tests.support.tiers import Tiers, running

PRODUCTS = 100
PRODUCTS_A_PAGE = 24
BAR = 2.0  # the highest ratio of the CPU time of a page to that of its JSON


@dataclass(frozen=True)
class Subject:
    """A page and its JSON, each as the requests that wrk repeats."""

    name: str
    page: Sequence[Request]
    json: Sequence[Request]


NAMES = [seed.product_name(number) for number in range(PRODUCTS)]
SUBJECTS = (
    Subject("grid", [Request("GET", "/")], [Request("GET", f"/products?limit={PRODUCTS_A_PAGE}")]),
    Subject(
        "product",
        [Request("GET", f"/shop/{name}?form={number:032x}") for number, name in enumerate(NAMES)],
        [Request("GET", f"/products/{name}") for name in NAMES],
    ),
)


@dataclass(frozen=True)
class Cost:
    """The CPU time of one request, in µs: of all tiers, and of the front end alone."""

    all_us: float
    front_end_us: float


@dataclass(frozen=True)
class Row:
    """A page beside its JSON: medians of the rounds, and the ratio of each round."""

    subject: str
    page_us: float
    json_us: float
    page_front_end_us: float
    json_front_end_us: float
    ratios: Sequence[float]  # of the CPU time of all tiers, round by round

    @property
    def ratio(self) -> float:
        return statistics.median(self.ratios)


def main() -> int:
    """Measures, writes the report, and returns 1 when a page is above the bar."""
    parser = argparse.ArgumentParser(prog="bench.storefront", description=__doc__.partition("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="rounds, of which the median counts (default 5)")
    parser.add_argument("--seconds", type=int, default=4, help="length of one load (default 4)")
    # The pools of pages refuse a request when too many wait. With 16 clients none does, also when the machine stalls.
    parser.add_argument("--clients", type=int, default=16, help="connections (default 16)")
    options = parser.parse_args()
    if min(options.rounds, options.seconds, options.clients) < 1:
        parser.error("--rounds, --seconds and --clients are at least 1")
    require_wrk()
    rows = measure(options.rounds, options.seconds, options.clients)
    report(rows, options.rounds, options.seconds, options.clients)
    return 1 if any(row.ratio > BAR for row in rows) else 0


def measure(rounds: int, seconds: int, clients: int) -> list[Row]:
    """Returns a row for each page. Raises seed.BrokenPromise."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    kinds = [(subject, kind) for subject in SUBJECTS for kind in ("page", "json")]
    costs: dict[tuple[str, str], list[Cost]] = {(subject.name, kind): [] for subject, kind in kinds}
    with tempfile.TemporaryDirectory(dir=RESULTS, prefix="storefront-") as folder:
        data_dir = Path(folder, "data")
        seed.fill(data_dir, products=PRODUCTS, orders=0)
        with running(data_dir) as tiers:
            for subject, kind in kinds:  # a tier answers as soon as one of its workers has started
                _cost(tiers, getattr(subject, kind), 1, clients)
            for number in range(1, rounds + 1):
                for subject, kind in in_round(kinds, number):
                    print_progress(f"round {number} of {rounds}: {subject.name}, {kind}")
                    costs[subject.name, kind].append(_cost(tiers, getattr(subject, kind), seconds, clients))
        seed.check(data_dir)
    return [row(subject.name, costs[subject.name, "page"], costs[subject.name, "json"]) for subject in SUBJECTS]


def _cost(tiers: Tiers, requests: Sequence[Request], seconds: int, clients: int) -> Cost:
    """Returns the CPU time of one of these requests. Raises seed.BrokenPromise when one failed."""
    pids = [tiers.master(name) for name in TIER_NAMES]
    front_end = [tiers.master("front_end")]
    all_before_s, front_end_before_s = cpu_seconds(pids), cpu_seconds(front_end)
    done = load(tiers.url("front_end"), requests, clients=clients, seconds=seconds, pids=pids)
    all_s, front_end_s = cpu_seconds(pids) - all_before_s, cpu_seconds(front_end) - front_end_before_s
    if done.errors:
        raise seed.BrokenPromise(f"{done.errors} requests such as {requests[0].path} failed")
    return Cost(done.cpu_us, done.cpu_us * front_end_s / all_s)


def row(subject: str, page: Sequence[Cost], json: Sequence[Cost]) -> Row:
    """Summarizes the rounds of one page and its JSON."""
    return Row(
        subject=subject,
        page_us=statistics.median(cost.all_us for cost in page),
        json_us=statistics.median(cost.all_us for cost in json),
        page_front_end_us=statistics.median(cost.front_end_us for cost in page),
        json_front_end_us=statistics.median(cost.front_end_us for cost in json),
        ratios=[above.all_us / below.all_us for above, below in zip(page, json, strict=True)],
    )


def report(rows: Sequence[Row], rounds: int, seconds: int, clients: int) -> None:
    """Prints the table, and writes storefront.json and storefront.md."""
    method = (
        f"Medians of {rounds} interleaved rounds of {seconds} s, {clients} clients, {PRODUCTS} products. The ratio "
        "compares the CPU time of all tiers in the same round."
    )
    text = "\n\n".join([method, machine.line() + ".", table(rows)]) + "\n"
    print(text)
    facts = {"about": machine.about(), "rounds": rounds, "seconds": seconds, "rows": [asdict(one) for one in rows]}
    (RESULTS / "storefront.json").write_text(json.dumps(facts, indent=2) + "\n")
    (RESULTS / "storefront.md").write_text("# A page beside its JSON (`make bench-storefront`)\n\n" + text)


def table(rows: Sequence[Row]) -> str:
    """Returns the rows as a Markdown table."""
    lines = [
        "| page | CPU µs | its JSON | ratio | worst round | bar | met | front end alone | its JSON |",
        "|---|---:|---:|---:|---:|---:|---|---:|---:|",
    ]
    for one in rows:
        met = "yes" if one.ratio <= BAR else "**no**"
        lines.append(
            f"| {one.subject} | {one.page_us:,.0f} | {one.json_us:,.0f} | {one.ratio:.2f} | {max(one.ratios):.2f} | "
            f"{BAR:.0f} | {met} | {one.page_front_end_us:,.0f} | {one.json_front_end_us:,.0f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    run(main)
