"""Load on a server, by wrk (Debian: apt install wrk), and what it cost."""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from tests.tiers import ROOT, children


@dataclass(frozen=True)
class Request:
    """One request that wrk repeats."""

    method: str
    path: str
    body: str = ""


@dataclass(frozen=True)
class Load:
    """What one run measured. `errors` are replies above 399 and broken connections; CPU is the server's."""

    per_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    errors: int
    cpu_us: float


def require_wrk() -> None:
    """Ends the program with one line when wrk is missing."""
    if not shutil.which("wrk"):
        print("wrk is missing; on Debian: apt install wrk", file=sys.stderr)
        sys.exit(2)


def load(url: str, requests: Iterable[Request], *, clients: int, seconds: int, pids: Sequence[int]) -> Load:
    """Ask for `requests` in turn over `clients` connections. `pids` are the server's processes, for their CPU time."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.writelines(f"{request.method}\t{request.path}\t{request.body}\n" for request in requests)
        file.flush()
        command = ["wrk", "-t1", f"-c{clients}", f"-d{seconds}s", "--latency", "--timeout", "20s"]
        before_s = cpu_seconds(pids)
        done = subprocess.run(
            [*command, "-s", "bench/load.lua", url, "--", file.name],
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        used_s = cpu_seconds(pids) - before_s
    report = json.loads(done.stdout.strip().splitlines()[-1])
    answered, duration_s = report.pop("requests"), report.pop("duration_s")
    return Load(per_second=answered / duration_s, cpu_us=used_s * 1e6 / max(1, answered), **report)


def cpu_seconds(pids: Sequence[int]) -> float:
    """CPU time that these processes and their descendants have used so far."""
    return sum(_cpu_seconds(pid) for pid in pids)


def _cpu_seconds(pid: int) -> float:
    ticks = clock_ticks(Path(f"/proc/{pid}"))
    return ticks / os.sysconf("SC_CLK_TCK") + sum(_cpu_seconds(child) for child in children(pid))


def clock_ticks(proc: Path) -> int:
    """CPU time so far, in clock ticks, of the process or thread whose folder in /proc this is."""
    # The second field, the name, may contain spaces; the 14th and 15th are user and system time.
    fields_after_name = (proc / "stat").read_text().rpartition(")")[2].split()
    return int(fields_after_name[11]) + int(fields_after_name[12])


def median(loads: Sequence[Load]) -> Load:
    """The median of each figure; of `max_ms` and `errors` the worst."""
    rows = [asdict(one) for one in loads]
    middle = {field.name: statistics.median(row[field.name] for row in rows) for field in fields(Load)}
    worst = {name: max(row[name] for row in rows) for name in ("max_ms", "errors")}
    return Load(**(middle | worst))
