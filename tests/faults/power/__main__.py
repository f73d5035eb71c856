"""Simulates power losses under the store: `python -m tests.faults.power --images 2000`."""

import argparse
import sys
import time
from collections import Counter

from tests.faults.power.cuts import Cut, cut_power

_DESCRIPTION = """\
Shoppers buy on a disk that records every operation of SQLite. Then the power is cut at many points of the record, each
time under both databases at once: all synced bytes stay, and of the others each sector stays or not, at random. A store
starts on each such image, and must confirm every answer that its shoppers had got before the cut.

With --failing-syncs 0.04, 4 of 100 syncs of a WAL fail, and leave a random part of what they should have synced. With
--synchronous NORMAL instead of the store's own FULL, the same cuts must lose orders: otherwise they prove nothing.
Exit code: 0 no promise was broken, 1 some were, 2 wrong usage, 130 interrupted."""

PROGRESS_EVERY = 25


def main(arguments: list[str]) -> int:
    """Runs the program. Returns its exit code."""
    given = _parser().parse_args(arguments)
    cuts: list[Cut] = []
    begun = time.monotonic()
    interrupted = False
    try:
        for cut in cut_power(given.images, given.seed, given.synchronous, given.failing_syncs):
            cuts.append(cut)
            if len(cuts) % PROGRESS_EVERY == 0 or len(cuts) == given.images:
                _show_progress(cuts, given.images)
    except KeyboardInterrupt:
        interrupted = True
    print(file=sys.stderr)
    print(summary(cuts, time.monotonic() - begun))
    if interrupted:
        return 130
    return 1 if any(cut.broken for cut in cuts) else 0


def summary(cuts: list[Cut], seconds: float) -> str:
    """Describes the results of all cuts."""
    broken = Counter(cut.broken.split(":")[0] for cut in cuts if cut.broken)
    lines = [
        f"{len(cuts):,} images of {len({cut.trace for cut in cuts})} traces in {seconds:.0f} s",
        f"  {sum(cut.uncertain for cut in cuts):,} with something written and not synced when the power went",
        f"  {sum(cut.after_kill for cut in cuts):,} after a kill -9 in the middle of a commit, and a restart",
        f"  {sum(cut.failed_syncs > 0 for cut in cuts):,} after a sync that failed",
        f"  {sum(cut.answered for cut in cuts):,} answers that had to hold",
        f"  {sum(broken.values()):,} broke a promise" + "".join(f"; {count} {what}" for what, count in broken.items()),
    ]
    examples = [f"    trace {cut.trace}, event {cut.at}: {cut.broken}" for cut in cuts if cut.broken]
    return "\n".join([*lines, *examples[:5]])


def _show_progress(cuts: list[Cut], images: int) -> None:
    broken = sum(cut.broken is not None for cut in cuts)
    print(f"\r{len(cuts):,} of {images:,} images, {broken:,} broke a promise", end="", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults.power",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--images", type=_count, default=2_000, help="power cuts to make (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the buys and the cuts (default: %(default)s)")
    parser.add_argument("--synchronous", choices=("FULL", "NORMAL", "OFF"), help="instead of the store's own setting")
    parser.add_argument(
        "--failing-syncs",
        type=_probability,
        default=0.0,
        metavar="P",
        help="probability that the sync of a WAL fails (default: %(default)s)",
    )
    return parser


def _count(text: str) -> int:
    """Reads an option that is a whole number from 1."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def _probability(text: str) -> float:
    """Reads an option that is a probability from 0 up to 1, but not 1."""
    try:
        probability = float(text)
    except ValueError:
        probability = -1.0
    if not 0.0 <= probability < 1.0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a probability from 0 up to 1")
    return probability


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
