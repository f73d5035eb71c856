"""All that CI judges by, one stage after the other: `python -m tests.stages`, or `make test`.

A stage that fails stops none of those behind it. At the end stands how each ended and how long it took, then all the
tests together, in the form of pytest's own last line.
"""

import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Targets of the Makefile, where the command of each stands.
STAGES = ("lint", "types", "unit", "integration", "e2e", "faults-short")
# pytest's last line, such as "1 failed, 20 passed in 4.02s", perhaps in a frame and with colours taken off.
_CLOSING = re.compile(r"^=* ?((?:\d+ [a-z]+, )*\d+ [a-z]+) in [\d.]+s", re.MULTILINE)


@dataclass(frozen=True)
class Ended:
    """A stage that is over, and what its tests came to: how many passed, failed and so on."""

    name: str
    passed: bool
    took_s: float
    tests: Counter[str]

    def __str__(self) -> str:
        return f"{'passed' if self.passed else 'FAILED'}  {minutes(self.took_s)}  {self.name}"


def minutes(seconds: float) -> str:
    return f"{round(seconds) // 60:2}:{round(seconds) % 60:02}"


def counted(output: str) -> Counter[str]:
    """The tests that pytest counts in its last lines."""
    found: Counter[str] = Counter()
    for line in _CLOSING.findall(output):
        for count, kind in re.findall(r"(\d+) ([a-z]+)", line):
            found["error" if kind == "errors" else kind] += int(count)
    return found


def closing_line(ended: Sequence[Ended]) -> str:
    """All tests of all stages. A stage that failed without a test that did, such as lint, is an error."""
    total: Counter[str] = Counter()
    for stage in ended:
        total += stage.tests
        if not stage.passed and not stage.tests["failed"] + stage.tests["error"]:
            total["error"] += 1
    order = sorted(total, key=lambda kind: (kind != "failed", kind != "passed", kind))
    counts = ", ".join(f"{total[kind]} {kind}{'s' if kind == 'error' and total[kind] > 1 else ''}" for kind in order)
    return f" {counts} in {sum(stage.took_s for stage in ended):.2f}s ".center(80, "=")


def make(stage: str) -> tuple[int, str]:
    """Run one stage; its exit code and what it printed, which is passed on as it comes."""
    output = bytearray()
    command = ["make", "--no-print-directory", stage]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        while piece := os.read(process.stdout.fileno(), 65_536):
            sys.stdout.buffer.write(piece)
            sys.stdout.flush()
            output += piece
    return process.returncode, output.decode(errors="replace")


def run(stages: Sequence[str], make: Callable[[str], tuple[int, str]] = make) -> list[Ended]:
    """Run each stage, whatever came of those before it."""
    ended = []
    for stage in stages:
        print(f"\n== {stage}", flush=True)
        begun = time.monotonic()
        code, output = make(stage)
        ended.append(Ended(stage, code == 0, time.monotonic() - begun, counted(output)))
    return ended


def main(stages: Sequence[str]) -> int:
    """Run these stages, or all; 0 when all of them passed."""
    try:
        ended = run(stages or STAGES)
    except KeyboardInterrupt:
        return 130
    print("\n== stages", *ended, closing_line(ended), sep="\n", flush=True)
    return 0 if all(stage.passed for stage in ended) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
