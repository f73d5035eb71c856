"""What the benchmark programs share: where results go, what they say on the way, and how they end."""

import signal
import sys
from collections.abc import Callable
from typing import NoReturn

from bench.seed import BrokenPromise
from tests.support.tiers import ROOT

RESULTS = ROOT / "bench" / "results"


def say(text: str) -> None:
    """Tell who waits how far it is."""
    print(text, file=sys.stderr, flush=True)


def run(main: Callable[[], int]) -> NoReturn:
    """End the process with `main`'s exit code: 1 when a promise was broken, 130 after Ctrl-C or TERM."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # it, too, ends what was started
    try:
        sys.exit(main())
    except BrokenPromise as broken:
        sys.exit(f"VOID, nothing was written: {broken}")
    except KeyboardInterrupt:
        sys.exit(130)
