"""Whether `make test` is green whatever else the machine does: ten runs alone, ten beside two busy processes.

`python -m tests.repeat --times 20 unit e2e` repeats some stages more often.
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
    """So many processes that take all the time they get, until the end of the block."""
    with ExitStack() as ending:
        for _ in range(processes):
            process = ending.enter_context(subprocess.Popen([sys.executable, "-c", _BUSY]))
            ending.callback(process.kill)
        yield


def main(arguments: Sequence[str]) -> int:
    """0 when all runs were green; of those that were not, the output stays."""
    parser = argparse.ArgumentParser(prog="python -m tests.repeat", description=__doc__)
    parser.add_argument("--times", type=int, default=10, help="runs of each kind (default: %(default)s)")
    parser.add_argument("--busy", type=int, default=2, help="busy processes of the second kind (default: %(default)s)")
    parser.add_argument("stages", nargs="*", help="stages (default: all)")
    given = parser.parse_args(arguments)
    outputs, red = Path(tempfile.mkdtemp(prefix="toystore-runs-")), 0
    for processes in (0, given.busy):
        with busy(processes):
            for number in range(1, given.times + 1):
                output, begun = outputs / f"{number}-beside-{processes}.txt", time.monotonic()
                with output.open("wb") as file:
                    command = [sys.executable, "-m", "tests.stages", *given.stages]
                    code = subprocess.run(command, cwd=ROOT, stdout=file, stderr=file, check=False).returncode
                red += code != 0
                told = f"FAILED: {output}" if code else "green"
                print(f"{minutes(time.monotonic() - begun)}  run {number} beside {processes}: {told}", flush=True)
                if not code:
                    output.unlink()
    if not red:
        outputs.rmdir()
    print(f"{2 * given.times - red} of {2 * given.times} runs were green")
    return 1 if red else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
