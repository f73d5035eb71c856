"""Shared by the benchmark programs: the folder of results, progress lines, the order of rounds, and exit codes."""

import signal
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn, TypeVar

from bench.seed import BrokenPromise
from tests.support.tiers import ROOT

T = TypeVar("T")

RESULTS = ROOT / "bench" / "results"


def print_progress(text: str) -> None:
    """Prints a line of progress."""
    print(text, file=sys.stderr, flush=True)


def in_round(items: Sequence[T], round_number: int) -> Sequence[T]:
    """Returns the items in the order of a round: forwards in odd rounds, backwards in even ones.

    No item always follows the same other one, whose load may still slow the machine down.
    """
    return items[:: 1 if round_number % 2 else -1]


def run(main: Callable[[], int]) -> NoReturn:
    """Ends the process with `main`'s exit code; 1 when a promise was broken, 130 after Ctrl-C or SIGTERM."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that SIGTERM stops all child processes too
    try:
        sys.exit(main())
    except BrokenPromise as broken:
        sys.exit(f"VOID, nothing was written: {broken}")
    except KeyboardInterrupt:
        sys.exit(130)
