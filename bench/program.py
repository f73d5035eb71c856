"""Shared by the benchmark programs: the folder of results, progress lines, and exit codes."""

import signal
import sys
from collections.abc import Callable
from typing import NoReturn

from bench.seed import BrokenPromise
from tests.support.tiers import ROOT

RESULTS = ROOT / "bench" / "results"


def print_progress(text: str) -> None:
    """Prints a line of progress."""
    print(text, file=sys.stderr, flush=True)


def run(main: Callable[[], int]) -> NoReturn:
    """Ends the process with `main`'s exit code; 1 when a promise was broken, 130 after Ctrl-C or SIGTERM."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that SIGTERM stops all child processes too
    try:
        sys.exit(main())
    except BrokenPromise as broken:
        sys.exit(f"VOID, nothing was written: {broken}")
    except KeyboardInterrupt:
        sys.exit(130)
