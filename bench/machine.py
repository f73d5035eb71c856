"""Describes the machine and the versions of a benchmark run: `python -m bench.machine` prints them."""

import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import apsw


def about() -> dict[str, str]:
    """Returns machine, versions and date (UTC) by their labels; "unknown" where a fact cannot be read."""
    return {
        "CPU": _value(Path("/proc/cpuinfo"), "model name") or platform.machine() or "unknown",
        "cores": str(len(os.sched_getaffinity(0))),  # the cores that this process may use
        "memory": _memory(),
        "Python": platform.python_version(),
        "gunicorn": version("gunicorn"),
        "Werkzeug": version("werkzeug"),
        "SQLite": apsw.sqlite_lib_version(),  # the SQLite inside apsw, which the store uses
        "wrk": _wrk_version(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def line(facts: Mapping[str, str] | None = None) -> str:
    """Returns these facts, by default those of now, as one line of text."""
    rest = dict(facts or about())
    machine = f"{rest.pop('CPU')}, {rest.pop('cores')} cores, {rest.pop('memory')}"
    date = rest.pop("date")
    return "; ".join([machine, ", ".join(f"{name} {value}" for name, value in rest.items()), date])


def _memory() -> str:
    """Returns the size of the memory in GiB."""
    total = _value(Path("/proc/meminfo"), "MemTotal")  # such as "8136512 kB", which means KiB
    return f"{int(total.split()[0]) / 1024**2:.1f} GiB" if total else "unknown"


def _value(path: Path, name: str) -> str:
    """Returns the value of the first line `name: value` in a file of /proc, or an empty string."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return ""
    return next((text.partition(":")[2].strip() for text in lines if text.partition(":")[0].strip() == name), "")


def _wrk_version() -> str:
    """Returns the version of wrk, or "not installed"."""
    try:
        # Such as "wrk debian/4.1.0-3 [epoll] Copyright …". wrk exits with 1 after it.
        words = subprocess.run(["wrk", "-v"], capture_output=True, text=True).stdout.split()
    except FileNotFoundError:
        return "not installed"
    return words[1].removeprefix("debian/") if len(words) > 1 else "unknown"


if __name__ == "__main__":
    for name, value in about().items():
        print(f"{name:10}{value}")
