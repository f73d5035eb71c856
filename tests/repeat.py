"""Repeats `make test` to find flaky tests: ten runs alone, ten beside two busy processes.

`python -m tests.repeat --times 20 unit e2e` runs only these stages, 20 times each way.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.stages import ROOT, minutes

_BUSY = "while True: pass"


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """Runs processes that use all the CPU time they get, until the end of the block."""
    with ExitStack() as ending:
        for _ in range(processes):
            process = ending.enter_context(subprocess.Popen([sys.executable, "-c", _BUSY]))
            ending.callback(process.kill)
        yield


def main(arguments: Sequence[str]) -> int:
    """Repeats the stages, alone and beside busy processes. Returns 0 when all runs were green, else 1.

    The output of each run that was not green is kept in a temporary folder.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.repeat", description=__doc__)
    parser.add_argument(
        "--times", type=int, default=10, help="runs alone, and runs beside busy processes (default: %(default)s)"
    )
    parser.add_argument("--busy", type=int, default=2, help="number of busy processes (default: %(default)s)")
    parser.add_argument("stages", nargs="*", help="stages (default: all)")
    given = parser.parse_args(arguments)
    outputs = Path(tempfile.mkdtemp(prefix="toystore-runs-"))
    red = 0  # runs that failed
    for processes in (0, given.busy):
        with busy(processes):
            for number in range(1, given.times + 1):
                output, begun = outputs / f"{number}-beside-{processes}.txt", time.monotonic()
                with output.open("wb") as file:
                    command = [sys.executable, "-m", "tests.stages", *given.stages]
                    code = subprocess.run(command, cwd=ROOT, stdout=file, stderr=file, check=False).returncode
                red += code != 0
                result = f"FAILED: {output}" if code else "green"
                print(
                    f"{minutes(time.monotonic() - begun)}  run {number} beside {processes} busy processes: {result}",
                    flush=True,
                )
                if not code:
                    output.unlink()
    if not red:
        outputs.rmdir()
    print(f"{2 * given.times - red} of {2 * given.times} runs were green")
    return 1 if red else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
