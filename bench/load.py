"""Runs wrk (Debian: apt install wrk) against a server, and reads latency and CPU time."""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from tests.support.tiers import ROOT, children


@dataclass(frozen=True)
class Request:
    """One request that wrk repeats."""

    method: str
    path: str
    body: str = ""


@dataclass(frozen=True)
class Load:
    """The figures of one run, or the medians of several.

    `over_500_ms` counts slow requests, and those that their connections would have sent meanwhile. `errors` counts
    responses above 399 and broken connections. `cpu_us` is the server's CPU time for a request. `others` is the share
    of the machine's CPU time that neither server, load generator nor benchmark used: other programs, idle systems,
    kernel threads, the host.
    """

    per_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    over_500_ms: int
    errors: int
    cpu_us: float
    others: float


def require_wrk() -> None:
    """Ends the program with one line when wrk is missing."""
    if not shutil.which("wrk"):
        print("wrk is missing; on Debian: apt install wrk", file=sys.stderr)
        sys.exit(2)


def load(url: str, requests: Iterable[Request], *, clients: int, seconds: int, pids: Sequence[int]) -> Load:
    """Sends `requests` in turn over `clients` connections. `pids` are the server's processes, for their CPU time."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.writelines(f"{request.method}\t{request.path}\t{request.body}\n" for request in requests)
        file.flush()
        command = ["wrk", "-t1", f"-c{clients}", f"-d{seconds}s", "--latency", "--timeout", "20s"]
        server_before_s, before = cpu_seconds(pids), CpuTimes.now()
        done = subprocess.run(
            [*command, "-s", "bench/load.lua", url, "--", file.name],
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        server_s, after = cpu_seconds(pids) - server_before_s, CpuTimes.now()
    report = json.loads(done.stdout.strip().splitlines()[-1])
    answered, duration_s = report.pop("requests"), report.pop("duration_s")
    return Load(
        per_second=answered / duration_s,
        cpu_us=server_s * 1e6 / max(1, answered),
        others=after.others_since(before, server_s),
        **report,
    )


@dataclass(frozen=True)
class CpuTimes:
    """The CPU time of all cores since the machine has started, in seconds."""

    all_s: float  # with idle time
    used_s: float  # without idle time
    own_s: float  # used by the benchmark and its children

    @classmethod
    def now(cls) -> "CpuTimes":
        # user nice system idle iowait irq softirq steal, of all cores. Time that the host steals counts as others'.
        line = Path("/proc/stat").read_text().partition("\n")[0]
        ticks = [int(field) for field in line.split()[1:9]]
        ticks_per_s = os.sysconf("SC_CLK_TCK")
        idle = ticks[3] + ticks[4]
        return cls(sum(ticks) / ticks_per_s, (sum(ticks) - idle) / ticks_per_s, sum(os.times()[:4]))

    def others_since(self, before: "CpuTimes", server_s: float) -> float:
        """Returns the share of the machine's time that neither the benchmark nor its server used."""
        others_s = self.used_s - before.used_s - (self.own_s - before.own_s) - server_s
        return max(0.0, others_s / max(0.01, self.all_s - before.all_s))


def cpu_seconds(pids: Sequence[int]) -> float:
    """Returns the CPU time of these processes and their descendants so far."""
    return sum(_cpu_seconds(pid) for pid in pids)


def _cpu_seconds(pid: int) -> float:
    """Returns the CPU time of a process and its descendants."""
    ticks = clock_ticks(Path(f"/proc/{pid}"))
    return ticks / os.sysconf("SC_CLK_TCK") + sum(_cpu_seconds(child) for child in children(pid))


def clock_ticks(proc: Path) -> int:
    """Returns the CPU time so far, in clock ticks, of the process or thread with this folder in /proc."""
    # The second field, the name, may contain spaces; the 14th and 15th are user and system time.
    fields_after_name = (proc / "stat").read_text().rpartition(")")[2].split()
    return int(fields_after_name[11]) + int(fields_after_name[12])


# Figures of which the worst of several runs is reported, not the median.
WORST_COUNTS = ("max_ms", "over_500_ms", "errors", "others")


def median(loads: Sequence[Load]) -> Load:
    """Returns the median of each figure, but the worst of those in WORST_COUNTS."""
    medians = {field.name: statistics.median(getattr(one, field.name) for one in loads) for field in fields(Load)}
    return Load(**(medians | {name: getattr(worst(loads), name) for name in WORST_COUNTS}))


def worst(loads: Sequence[Load]) -> Load:
    """Returns the worst of each figure: the lowest rate, and the highest of all others."""
    highest = {field.name: max(getattr(one, field.name) for one in loads) for field in fields(Load)}
    return Load(**(highest | {"per_second": min(one.per_second for one in loads)}))
