"""The store beside the limit, under the same load: `make bench-throughput`. It needs wrk (Debian: apt install wrk).

Both run at once and are loaded in turn, so that the machine's mood is the same for both; each figure is the median of
the rounds. Afterwards the store's promises are checked: a run that broke one is void.
"""

import argparse
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.books import Books
from tests.tiers import ROOT, free_port, running

RESULTS = ROOT / "bench" / "results"


@dataclass(frozen=True)
class Load:
    """What one run of wrk measured. Latencies in ms; `errors` are replies that were not 2xx, and broken connections."""

    per_second: float
    p50_ms: float
    p99_ms: float
    errors: int


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.throughput", description=__doc__)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 32, 128], help="connections (default 1 32 128)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, of which the median counts (default 3)")
    parser.add_argument("--seconds", type=int, default=3, help="length of one load (default 3)")
    options = parser.parse_args()
    if not shutil.which("wrk"):
        print("bench.throughput: wrk is missing; on Debian: apt install wrk", file=sys.stderr)
        return 2
    rows = measure(options.clients, options.rounds, options.seconds)
    print_table(rows)
    RESULTS.mkdir(exist_ok=True)
    about = {
        "date": datetime.now(UTC).isoformat(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
    }
    (RESULTS / "throughput.json").write_text(json.dumps({"about": about, "rows": rows}, indent=2) + "\n")
    return 0


def measure(clients: list[int], rounds: int, seconds: int) -> list[dict[str, object]]:
    """A row for each number of clients and each of limit, query and buy."""
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as folder:
        products = Path(folder) / "products.txt"
        products.write_text("Tux 25.99 1000000000\n")
        with limit() as limit_url, running(Path(folder) / "data", PRODUCTS=str(products)) as tiers:
            shop = tiers.url("front_end")
            loads = {
                "limit": [limit_url],
                "query": [f"{shop}/products/Tux"],
                "buy": ["-s", "bench/post.lua", f"{shop}/Tux/1"],
            }
            for count in clients:
                measured: dict[str, list[Load]] = {name: [] for name in loads}
                for _ in range(rounds):
                    for name, arguments in loads.items():
                        measured[name].append(wrk(count, seconds, arguments))
                rows += [{"clients": count, "what": name, **asdict(median(runs))} for name, runs in measured.items()]
            time.sleep(1)  # for what was under way when wrk hung up
            Books.read(tiers.data_dir).check()
    return rows


@contextmanager
def limit() -> Iterator[str]:
    bind = f"127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "gunicorn", "-c", "bench/limit.py"]
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ | {"BIND": bind})
    try:
        time.sleep(2)
        yield f"http://{bind}/products/Tux"
    finally:
        process.terminate()
        process.wait()


def wrk(clients: int, seconds: int, arguments: list[str]) -> Load:
    command = ["wrk", "-t1", f"-c{clients}", f"-d{seconds}s", "--latency", *arguments]
    text = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    rate = re.search(r"Requests/sec:\s+([0-9.]+)", text)
    broken = [int(count) for count in re.findall(r"(?:Non-2xx[^:]*:|connect|read|write|timeout) +([0-9]+)", text)]
    assert rate is not None, text
    return Load(float(rate[1]), _latency_ms(text, "50%"), _latency_ms(text, "99%"), sum(broken))


def _latency_ms(text: str, percent: str) -> float:
    match = re.search(rf"{percent}\s+([0-9.]+)(us|ms|s)", text)
    assert match is not None, text
    return float(match[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[match[2]]


def median(runs: list[Load]) -> Load:
    return Load(
        per_second=statistics.median(run.per_second for run in runs),
        p50_ms=statistics.median(run.p50_ms for run in runs),
        p99_ms=statistics.median(run.p99_ms for run in runs),
        errors=sum(run.errors for run in runs),
    )


def print_table(rows: list[dict[str, object]]) -> None:
    print(
        "| clients | what | requests/s | of the limit | p50 ms | p99 ms | errors |\n|---:|---|---:|---:|---:|---:|---:|"
    )
    limits = {row["clients"]: float(str(row["per_second"])) for row in rows if row["what"] == "limit"}
    for row in rows:
        per_second = float(str(row["per_second"]))
        share = per_second / limits[row["clients"]]
        cells = [
            row["clients"],
            row["what"],
            f"{per_second:,.0f}",
            f"{share:.2f}",
            row["p50_ms"],
            row["p99_ms"],
            row["errors"],
        ]
        print("| " + " | ".join(str(cell) for cell in cells) + " |")


if __name__ == "__main__":
    sys.exit(main())
