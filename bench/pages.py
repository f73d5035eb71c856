"""Measures buys beside large pages and searches: `make bench-pages`. It needs wrk (Debian: apt install wrk).

One store has 100,000 products, of which 1,000 have the longest names. A few shoppers buy, with a pause after each buy,
while wrk repeats one request. Each round runs all of these background loads in turn. The latency of the buys is
compared with that beside the control of the same round, 64 clients that query one product, so that a slow machine slows
both. The bar is twice the control's p50. After the load the promises are checked; a run that broke one is void.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import quote

from bench import machine, seed
from bench.load import Request, load, require_wrk
from bench.program import RESULTS, in_round, print_progress, run
from db.sqlite.catalog import CatalogStore
from db.sqlite.order import OrderStore
from domain.values import MAX_NAME_CHARACTERS, Product
from tests.support.tiers import ROOT, Tiers, running

PRODUCTS = 100_000
LONG_NAMES = 1_000
BUYERS = 4
PAUSE_S = 0.02  # after each buy
# The pause before each load: the last requests of the load before are answered, or expire.
PAUSE_BETWEEN_S = 1.5
BAR = 2.0  # the highest ratio of the p50 of a buy to that beside the control


@dataclass(frozen=True)
class BackgroundLoad:
    """A background load: wrk sends `requests`, or the owner repeats `command`. `barred`: the bar applies to it."""

    name: str
    clients: int
    requests: Sequence[Request] = ()
    tier: str = "front_end"
    command: str = ""
    barred: bool = False


def _get(path: str) -> list[Request]:
    """Returns the requests of a load that repeats one GET."""
    return [Request("GET", path)]


_NAMES = json.dumps(["Tux", "nobody sells this"])
# In the order of the names, the longest ones follow Tux. No name has a q.
CONTROL = BackgroundLoad("one product, /products/Tux", 64, _get("/products/Tux"))
LOADS = (
    CONTROL,
    BackgroundLoad("the largest page, limit=1000", 64, _get("/products?limit=1000&after=Tux"), barred=True),
    BackgroundLoad("a page of 1,000 short names", 64, _get("/products?limit=1000"), barred=True),
    BackgroundLoad("a usual page, limit=100", 64, _get("/products"), barred=True),
    BackgroundLoad("a search that finds nothing", 8, _get("/products?q=zzzz"), barred=True),
    BackgroundLoad("the same, 64 clients", 64, _get("/products?q=zzzz"), barred=True),
    BackgroundLoad("a letter that no name has", 8, _get("/products?q=q"), barred=True),
    BackgroundLoad("a search that finds all", 8, _get("/products?limit=1000&q=product"), barred=True),
    BackgroundLoad("the last names", 64, _get(f"/products?after={quote(chr(0x10FFFF) * 64)}"), barred=True),
    BackgroundLoad("an order, /orders/0", 64, _get("/orders/0"), barred=True),
    BackgroundLoad("/v1/lookups at the catalog", 64, [Request("POST", "/v1/lookups", _NAMES)], tier="catalog"),
    BackgroundLoad("one product at the catalog", 64, _get("/products/Tux"), tier="catalog"),
    BackgroundLoad("python -m admin audit", 1, command="audit", barred=True),
    BackgroundLoad("python -m admin backup", 1, command="backup", barred=True),
)


@dataclass(frozen=True)
class Row:
    """Medians of the rounds: the latency of buys beside this load, and the rate of the load."""

    name: str
    clients: int
    barred: bool
    buy_p50_ms: float
    buy_p99_ms: float
    ratio: float  # of the p50 to the control's in the same round
    worst_ratio: float
    answers_per_second: float
    errors: int


def main() -> int:
    """Measures the chosen loads, and writes the report unless some are left out."""
    parser = argparse.ArgumentParser(prog="bench.pages", description=__doc__.partition("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="rounds, of which the median counts (default 5)")
    parser.add_argument("--seconds", type=int, default=4, help="length of one load (default 4)")
    parser.add_argument("--only", metavar="WORD", default="", help="only the control and loads with this word")
    options = parser.parse_args()
    if options.rounds < 1 or options.seconds < 1:
        parser.error("--rounds and --seconds are at least 1")
    require_wrk()
    loads = [background for background in LOADS if background is CONTROL or options.only in background.name]
    rows = measure(loads, options.rounds, options.seconds)
    report(rows, options.rounds, options.seconds, None if options.only else RESULTS / "pages")
    return 0


def measure(loads: Sequence[BackgroundLoad], rounds: int, seconds: int) -> list[Row]:
    """Returns a row for each load. Raises seed.BrokenPromise."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    # Not in /tmp, which may be in memory: a commit must reach a disk.
    with tempfile.TemporaryDirectory(dir=RESULTS, prefix="pages-") as folder:
        data_dir = Path(folder, "data")
        print_progress(f"filling a store with {PRODUCTS:,} products")
        fill(data_dir)
        latencies: dict[str, list[list[float]]] = {background.name: [] for background in loads}
        rates: dict[str, list[float]] = {background.name: [] for background in loads}
        errors = dict.fromkeys(latencies, 0)
        with running(data_dir) as tiers:
            for number in range(1, rounds + 1):
                for background in in_round(loads, number):
                    print_progress(f"round {number} of {rounds}: {background.name}")
                    time.sleep(PAUSE_BETWEEN_S)
                    with buying(tiers) as latencies_s:
                        rate, failed = _run(background, tiers, seconds)
                    latencies[background.name].append(sorted(latencies_s))
                    rates[background.name].append(rate)
                    errors[background.name] += failed
        seed.check(data_dir)
    control = [_quantile(latencies_s, 0.5) for latencies_s in latencies[CONTROL.name]]
    return [
        _row(background, latencies[background.name], control, rates[background.name], errors[background.name])
        for background in loads
    ]


def _run(background: BackgroundLoad, tiers: Tiers, seconds: int) -> tuple[float, int]:
    """Runs the background load. Returns its responses or runs a second, and how many of them failed."""
    if not background.command:
        done = load(
            tiers.url(background.tier), background.requests, clients=background.clients, seconds=seconds, pids=[]
        )
        return done.per_second, done.errors
    runs = failed = 0
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        with tempfile.TemporaryDirectory(dir=tiers.data_dir.parent) as folder:
            where = [str(Path(folder, "copy"))] if background.command == "backup" else []
            command = [sys.executable, "-m", "admin", background.command, *where]
            ended = subprocess.run(command, cwd=ROOT, env=tiers.environment, capture_output=True)
        runs += 1
        failed += ended.returncode != 0
    return runs / seconds, failed


def fill(data_dir: Path) -> None:
    """Creates a catalog of PRODUCTS products and an empty order log."""
    catalog, log = CatalogStore(data_dir / "catalog.db"), OrderStore(data_dir / "order.db")
    with closing(log), closing(catalog):
        catalog.migrate()
        log.migrate()
        catalog.load(Product(name, 999, 1_000_000_000) for name in product_names())


def product_names() -> Iterator[str]:
    """Yields PRODUCTS names. In the order of code points the longest come last."""
    yield "Tux"
    for number in range(LONG_NAMES):
        yield f"{number:05d}".rjust(MAX_NAME_CHARACTERS, "\U0001f427")
    for number in range(PRODUCTS - LONG_NAMES - 1):
        yield f"Product-{number:06d}-of-a-middling-length"


@contextmanager
def buying(tiers: Tiers) -> Iterator[list[float]]:
    """Buys as a few shoppers while the block runs, and yields the list of latencies in seconds.

    Raises seed.BrokenPromise when a buy was not sold.
    """
    latencies_s: list[float] = []
    failures: list[str] = []
    ending = threading.Event()

    def shop() -> None:
        with closing(HTTPConnection("127.0.0.1", tiers.ports["front_end"], timeout=20)) as connection:
            while not ending.is_set():
                begun = time.monotonic()
                connection.request("POST", "/Tux/1")
                response = connection.getresponse()
                body = response.read()
                latencies_s.append(time.monotonic() - begun)
                if response.status != 200:
                    failures.append(f"{response.status} {body!r}")
                time.sleep(PAUSE_S)

    shoppers = [threading.Thread(target=shop) for _ in range(BUYERS)]
    for shopper in shoppers:
        shopper.start()
    try:
        yield latencies_s
    finally:
        ending.set()
        for shopper in shoppers:
            shopper.join()
    if failures:
        raise seed.BrokenPromise(f"{len(failures)} buys were not sold, the first: {failures[0]}")


def _row(
    background: BackgroundLoad,
    rounds: Sequence[Sequence[float]],
    control: Sequence[float],
    rates: Sequence[float],
    errors: int,
) -> Row:
    """Summarizes the rounds of a load. `rounds` has the sorted latencies of each, `control` the control's p50."""
    ratios = [_quantile(latencies_s, 0.5) / p50 for latencies_s, p50 in zip(rounds, control, strict=True)]
    return Row(
        name=background.name,
        clients=background.clients,
        barred=background.barred,
        buy_p50_ms=1000 * statistics.median(_quantile(latencies_s, 0.5) for latencies_s in rounds),
        buy_p99_ms=1000 * statistics.median(_quantile(latencies_s, 0.99) for latencies_s in rounds),
        ratio=statistics.median(ratios),
        worst_ratio=max(ratios),
        answers_per_second=statistics.median(rates),
        errors=errors,
    )


def _quantile(ordered: Sequence[float], quantile: float) -> float:
    """Returns a quantile of sorted values."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * quantile))]


def report(rows: Sequence[Row], rounds: int, seconds: int, path: Path | None) -> None:
    """Prints the table, and writes PATH.json and PATH.md."""
    method = (
        f"Medians of {rounds} interleaved rounds of {seconds} s. {BUYERS} shoppers buy beside each load, with a pause "
        f"of {1000 * PAUSE_S:.0f} ms after each buy. The ratio is to the control of the same round. Errors are wrk's: "
        "503 where the store sheds a page. All buys were sold, and all promises held afterwards."
    )
    text = "\n\n".join([method, machine.line() + ".", table(rows)]) + "\n"
    print(text)
    if path is not None:
        facts = {"about": machine.about(), "rounds": rounds, "seconds": seconds, "rows": [asdict(row) for row in rows]}
        path.with_suffix(".json").write_text(json.dumps(facts, indent=2) + "\n")
        path.with_suffix(".md").write_text("# A buy beside pages (`make bench-pages`)\n\n" + text)


def table(rows: Sequence[Row]) -> str:
    """Returns the rows as a Markdown table."""
    lines = [
        "| beside | clients | buy p50 ms | buy p99 ms | × control | worst round | bar | met | a second | errors |",
        "|---|---:|---:|---:|---:|---:|---:|---|---:|---:|",
    ]
    for row in rows:
        met = ("yes" if row.ratio <= BAR else "**no**") if row.barred else ""
        bar = f"{BAR:.0f}" if row.barred else ""
        a_second = f"{row.answers_per_second:,.{0 if row.answers_per_second > 10 else 1}f}"
        lines.append(
            f"| {row.name} | {row.clients} | {row.buy_p50_ms:.1f} | {row.buy_p99_ms:.1f} | {row.ratio:.2f} | "
            f"{row.worst_ratio:.2f} | {bar} | {met} | {a_second} | {row.errors:,} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    run(main)
