"""Kills tiers at every step of a buy: `python -m tests.faults.crashes --each 25 --random 450 --buys 10000`."""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.faults.crashes.campaign import Campaign, CrashingStore


def main(arguments: Sequence[str]) -> int:
    """Runs a campaign and prints its figures. Returns 0, 1 when a promise was broken, or 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.crashes", description=__doc__)
    parser.add_argument("--each", type=int, default=25, help="kills at each point (default 25)")
    parser.add_argument("--random", type=int, default=450, help="then kills at random (default 450)")
    parser.add_argument("--buys", type=int, default=10_000, help="buys to make at least (default 10000)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the shoppers and kills (default 1)")
    options = parser.parse_args(arguments)
    begun = time.monotonic()

    def show(line: str) -> None:
        print(f"{time.monotonic() - begun:7.1f} s  {line}", file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory(prefix="crashes-") as folder, CrashingStore(Path(folder)) as store:
        campaign = Campaign(store, seed=options.seed, on_progress=show)
        try:
            books = campaign.run(each=options.each, at_random=options.random, buys=options.buys)
        except AssertionError as broken:
            print(f"crashes: {broken}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("crashes: interrupted", file=sys.stderr)
            return 130
    shoppers = campaign.shoppers
    figures = {
        "kills": campaign.kills.total(),
        "kills at each point": dict(sorted(campaign.kills.items())),
        "buys": len(shoppers.answered),
        "orders": len(books.orders),
        "refused": len(books.refused),
        "requests": len(shoppers.history.attempts),
        "requests without an answer": sum(attempt.answer is None for attempt in shoppers.history.attempts),
        "longest wait for an answer, s": round(shoppers.worst_s, 1),
        "statuses": sorted(shoppers.statuses),
        "seconds": round(time.monotonic() - begun),
        "lost, duplicate, oversold, leaked, gaps, in doubt": 0,  # any other number raises AssertionError
    }
    print(json.dumps(figures, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
