"""Runs the stages of CI one after the other: `python -m tests.stages`, or `make test`.

A failed stage does not stop the later ones. At the end it prints the result and the duration of each stage, and the
count of all tests in the form of pytest's own last line.
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
# Targets of the Makefile.
STAGES = ("lint", "types", "unit", "integration", "e2e", "faults-short")
# pytest's last line, such as "1 failed, 20 passed in 4.02s", with or without its frame of "=".
_LAST_LINE = re.compile(r"^=* ?((?:\d+ [a-z]+, )*\d+ [a-z]+) in [\d.]+s", re.MULTILINE)


@dataclass(frozen=True)
class FinishedStage:
    """A finished stage, and the number of its tests by outcome."""

    name: str
    passed: bool
    took_s: float
    tests: Counter[str]

    def __str__(self) -> str:
        return f"{'passed' if self.passed else 'FAILED'}  {minutes(self.took_s)}  {self.name}"


def minutes(seconds: float) -> str:
    """Returns a duration as minutes and seconds, such as " 2:05"."""
    return f"{round(seconds) // 60:2}:{round(seconds) % 60:02}"


def count_tests(output: str) -> Counter[str]:
    """Returns the number of tests by outcome, from the last lines of pytest in this output."""
    found: Counter[str] = Counter()
    for line in _LAST_LINE.findall(output):
        for count, kind in re.findall(r"(\d+) ([a-z]+)", line):
            found["error" if kind == "errors" else kind] += int(count)
    return found


def closing_line(finished: Sequence[FinishedStage]) -> str:
    """Returns the count of all tests. A stage that failed without a failed test, such as lint, counts as an error."""
    total: Counter[str] = Counter()
    for stage in finished:
        total += stage.tests
        if not stage.passed and not stage.tests["failed"] + stage.tests["error"]:
            total["error"] += 1
    order = sorted(total, key=lambda kind: (kind != "failed", kind != "passed", kind))
    counts = ", ".join(f"{total[kind]} {kind}{'s' if kind == 'error' and total[kind] > 1 else ''}" for kind in order)
    return f" {counts} in {sum(stage.took_s for stage in finished):.2f}s ".center(80, "=")


def run_make(stage: str) -> tuple[int, str]:
    """Runs one stage and passes its output on. Returns its exit code and its output."""
    output = bytearray()
    command = ["make", "--no-print-directory", stage]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        while chunk := os.read(process.stdout.fileno(), 65_536):
            sys.stdout.buffer.write(chunk)
            sys.stdout.flush()
            output += chunk
    return process.returncode, output.decode(errors="replace")


def run(stages: Sequence[str], run_make: Callable[[str], tuple[int, str]] = run_make) -> list[FinishedStage]:
    """Runs each stage, also after a failed one."""
    finished = []
    for stage in stages:
        print(f"\n== {stage}", flush=True)
        begun = time.monotonic()
        code, output = run_make(stage)
        finished.append(FinishedStage(stage, code == 0, time.monotonic() - begun, count_tests(output)))
    return finished


def main(stages: Sequence[str]) -> int:
    """Runs these stages, by default all. Returns 0 when all of them passed."""
    try:
        finished = run(stages or STAGES)
    except KeyboardInterrupt:
        return 130
    print("\n== stages", *finished, closing_line(finished), sep="\n", flush=True)
    return 0 if all(stage.passed for stage in finished) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
