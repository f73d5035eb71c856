"""Profiles the CPU time of a query and of a buy: `make profile`. It needs wrk (Debian: apt install wrk) and py-spy.

Each kind is loaded twice. The first load, without py-spy, measures the CPU time of a request in each tier and thread.
During the second load py-spy samples every worker 100 times a second. A thread's CPU time is then divided among its
samples. Samples of a waiting thread are left out: it waits for a lock, an event, or the reply of the tier behind.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import machine, seed
from bench.load import Load, clock_ticks, load, require_wrk
from bench.program import RESULTS, print_progress, run
from tests.support.tiers import ROOT, Tiers, running

PY_SPY = str(Path(sys.executable).with_name("py-spy"))
SAMPLES_PER_S = 100
PRODUCTS = 100
MAX_LINES = 14  # in a table
MIN_LINE_US = 0.5
IDLE_BELOW_US = 3.0  # a tier that no request reaches uses CPU time for its heartbeat only

# The innermost function of a waiting thread. py-spy itself leaves most of them out.
WAITS = re.compile(
    r"threading\.py:.*\bwait$|selectors\.py:.*select$|concurrent/futures/thread\.py:_worker$|queue\.py:.*get$"
    r"|wsgi_apps/tier_connection\.py:_receive$"  # the reply of the tier behind; reads from shoppers never wait
)
# The report has a line for each file of these packages, and for each package of a library, such as Werkzeug's routing.
OWN_PACKAGES = ("server", "wsgi_apps", "domain", "db", "conf")
ELSEWHERE = "elsewhere"
METHOD = (
    "CPU times are measured without py-spy. A second load divides them among functions, by "
    f"{SAMPLES_PER_S} samples a second of each worker. Samples of waiting threads are left out. The time of a "
    "system call (send, commit) includes the wait for the interpreter lock after it. The time of the standard library, "
    "such as JSON, counts for the file that called it."
)
UNSEEN = "in threads without a sample"  # the line for their CPU time


@dataclass(frozen=True)
class Sample:
    """A stack of "file.py:function", innermost first, and its share of the CPU time of a request."""

    stack: tuple[str, ...]
    cpu_us: float


@dataclass(frozen=True)
class Profile:
    """The profile of one kind of request: by tier, the CPU time of a request and its samples."""

    kind: str
    undisturbed: Load
    sampled: Load
    cpu_us: Mapping[str, float]
    samples: Mapping[str, Sequence[Sample]]


class NotPermitted(Exception):
    """py-spy may not attach to the workers. The message is py-spy's."""


def main() -> int:
    """Profiles the chosen kinds, and writes the report. Returns 2 when py-spy may not attach."""
    parser = argparse.ArgumentParser(prog="bench.profile", description=__doc__.partition("\n\n")[0])
    parser.add_argument("--kind", choices=("query", "buy"), help="only this one (default both)")
    parser.add_argument("--clients", type=int, default=32, help="connections (default 32)")
    parser.add_argument("--seconds", type=int, default=10, help="length of each load (default 10)")
    options = parser.parse_args()
    if options.clients < 1 or options.seconds < 1:
        parser.error("--clients and --seconds are at least 1")
    require_wrk()
    RESULTS.mkdir(parents=True, exist_ok=True)
    kinds = [options.kind] if options.kind else ["query", "buy"]
    try:
        profiles = measure(kinds, options.clients, options.seconds)
    except NotPermitted as error:
        print(f"bench.profile: py-spy may not attach, it needs ptrace (CAP_SYS_PTRACE): {error}", file=sys.stderr)
        return 2
    text = (
        "\n\n".join([METHOD, machine.line() + ".", *(report(profile, options.clients) for profile in profiles)]) + "\n"
    )
    print(text)
    (RESULTS / "profile.md").write_text("# The CPU time of requests (`make profile`)\n\n" + text)
    return 0


def measure(kinds: Sequence[str], clients: int, seconds: int) -> list[Profile]:
    """Returns a profile of each kind. Raises NotPermitted and seed.BrokenPromise."""
    with tempfile.TemporaryDirectory(dir=RESULTS, prefix="profile-") as folder:
        data_dir = Path(folder) / "data"
        seed.fill(data_dir, products=PRODUCTS, orders=0)
        with running(data_dir) as tiers:
            _require_permission(tiers)
            profiles = [_profile(tiers, kind, clients, seconds, Path(folder)) for kind in kinds]
            seed.check(data_dir)
    return profiles


def _require_permission(tiers: Tiers) -> None:
    """Raises NotPermitted when py-spy may not attach to a worker."""
    pid = tiers.workers("catalog")[0]
    tried = subprocess.run([PY_SPY, "dump", "--pid", str(pid)], capture_output=True, text=True)
    if tried.returncode != 0:
        raise NotPermitted(" ".join(tried.stderr.split()))


def _profile(tiers: Tiers, kind: str, clients: int, seconds: int, folder: Path) -> Profile:
    """Runs both loads of one kind, and returns its profile."""

    def load_for(seconds: int, pids: Sequence[int]) -> Load:
        requests = seed.requests(kind, PRODUCTS)
        return load(tiers.url("front_end"), requests, clients=clients, seconds=seconds, pids=pids)

    print_progress(f"{kind}: warming up")
    load_for(1, pids=[])
    # After the warm-up: a tier answers as soon as one of its workers has started, and the others follow.
    workers = {name: tiers.workers(name) for name in tiers.ports}
    pids = [pid for tier in workers.values() for pid in tier]
    print_progress(f"{kind}: {seconds} s without py-spy")
    before = {pid: _ticks(pid) for pid in pids}
    undisturbed = load_for(seconds, pids)
    ticks = {pid: _ticks(pid) - before[pid] for pid in pids}
    us_per_tick = undisturbed.cpu_us / max(1, sum(used.total() for used in ticks.values()))
    print_progress(f"{kind}: {seconds} s with py-spy")
    with _py_spy({pid: folder / f"{pid}.json" for pid in pids}, seconds) as files:
        sampled = load_for(seconds + 1, pids)  # py-spy needs a moment to start
    samples: dict[str, list[Sample]] = {name: [] for name in workers}
    for name, tier in workers.items():
        for number, pid in enumerate(tier, start=1):
            recorded = _shorten(json.loads(files[pid].read_text()))
            (RESULTS / f"profile-{kind}-{name}-{number}.speedscope.json").write_text(json.dumps(recorded))
            cpu_us = {thread: used * us_per_tick for thread, used in ticks[pid].items()}
            samples[name] += _samples(recorded, cpu_us)
    by_tier = {name: us_per_tick * sum(ticks[pid].total() for pid in tier) for name, tier in workers.items()}
    return Profile(kind, undisturbed, sampled, by_tier, samples)


def _ticks(pid: int) -> Counter[int]:
    """Returns the CPU time so far of each thread of a process, in clock ticks."""
    ticks: Counter[int] = Counter()
    for thread in Path(f"/proc/{pid}/task").iterdir():
        ticks[int(thread.name)] = clock_ticks(thread)
    return ticks


@contextmanager
def _py_spy(files: dict[int, Path], seconds: int) -> Iterator[dict[int, Path]]:
    """Runs py-spy on each process during the block. Its files are complete at the end of the block."""
    options = ["--format", "speedscope", "--rate", str(SAMPLES_PER_S), "--duration", str(seconds)]
    spies = [
        subprocess.Popen(
            [PY_SPY, "record", *options, "--pid", str(pid), "--output", str(file)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        for pid, file in files.items()
    ]  # fmt: skip
    try:
        yield files
        for spy in spies:
            spy.wait(timeout=30)
    finally:
        for spy in spies:
            if spy.poll() is None:
                spy.terminate()
            spy.wait()


def _shorten(recorded: Any) -> Any:
    """Replaces absolute paths in a recording by paths within the repository or the library."""
    for frame in recorded["shared"]["frames"]:
        file = re.sub(r"^.*/(site-packages|lib/python[0-9.]+)/", "", frame["file"] or "?")
        frame["file"] = file.removeprefix(f"{ROOT}/")
    return recorded


def _samples(recorded: Any, cpu_us: Mapping[int, float]) -> list[Sample]:
    """Returns the samples of working threads in a speedscope file. The samples of a thread share its `cpu_us`."""
    functions = [f"{frame['file']}:{frame['name']}" for frame in recorded["shared"]["frames"]]
    samples = []
    for thread in recorded["profiles"]:
        named = re.search(r"[0-9]+", thread["name"])  # such as: Thread 4711 "MainThread"
        assert named is not None, thread["name"]
        stacks = [tuple(functions[frame] for frame in reversed(stack)) for stack in thread["samples"]]
        at_work = [stack for stack in stacks if stack and not WAITS.match(stack[0])]
        samples += [Sample(stack, cpu_us.get(int(named[0]), 0.0) / len(at_work)) for stack in at_work]
    return samples


def place_of(stack: Sequence[str]) -> str:
    """Returns the store's file, or the library's package, of a sample. The standard library counts for its caller."""
    for function in stack:
        *folders, file = function.partition(":")[0].split("/")
        package = folders[0] if folders else file.removesuffix(".py")
        if package in OWN_PACKAGES:
            return f"`{'/'.join([*folders, file])}`"
        if package not in sys.stdlib_module_names and not package.startswith("<"):
            return "/".join(folders[:2]) or package
    return ELSEWHERE


def report(profile: Profile, clients: int) -> str:
    """Returns Markdown tables of the CPU time by tier, and for each tier by file and by function."""
    total = sum(profile.cpu_us.values())
    parts = [
        f"## A {profile.kind}, {clients} clients",
        f"{profile.undisturbed.per_second:,.0f} requests/s, p99 {profile.undisturbed.p99_ms:.1f} ms, at most "
        f"{profile.undisturbed.max_ms:.0f} ms ({profile.sampled.per_second:,.0f} requests/s with py-spy). "
        f"Other processes used {profile.undisturbed.others:.0%} of the machine.",
        _table("tier", profile.cpu_us, total),
    ]
    for name, cpu_us in profile.cpu_us.items():
        if cpu_us < IDLE_BELOW_US:
            parts.append(f"### {name}: at rest")
            continue
        places: defaultdict[str, float] = defaultdict(float)
        functions: defaultdict[str, float] = defaultdict(float)
        for sample in profile.samples[name]:
            places[place_of(sample.stack)] += sample.cpu_us
            functions[f"`{sample.stack[0]}`"] += sample.cpu_us
        places[UNSEEN] = cpu_us - sum(places.values())
        parts.append(f"### {name}: {cpu_us:.0f} µs, {len(profile.samples[name]):,} samples")
        parts.append(_table("where", _largest(places), cpu_us))
        parts.append(_table("hottest functions (without what they call)", _largest(functions), cpu_us))
    parts.append(
        f"Whole recordings, for https://www.speedscope.app: `bench/results/profile-{profile.kind}-*.speedscope.json`."
    )
    return "\n\n".join(parts)


def _largest(cpu_us: Mapping[str, float]) -> dict[str, float]:
    """Returns at most MAX_LINES lines, the largest first, none below MIN_LINE_US."""
    by_size = sorted(cpu_us.items(), key=lambda item: -item[1])
    return {name: us for name, us in by_size[:MAX_LINES] if us >= MIN_LINE_US}


def _table(title: str, cpu_us: Mapping[str, float], total_us: float) -> str:
    """Returns a Markdown table of CPU times, with their shares of the total."""
    lines = [f"| {title} | CPU µs a request | share |", "|---|---:|---:|"]
    lines += [f"| {name} | {us:.1f} | {us / total_us:.0%} |" for name, us in cpu_us.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    run(main)
