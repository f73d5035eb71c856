"""Kills tiers at steps of buys and returns: `python -m tests.faults.crashes --each 15 --random 450 --buys 10000`."""

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
    parser.add_argument("--each", type=int, default=15, help="kills at each point (default 15)")
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
    answers = [one.answer for one in shoppers.history.attempts]
    answers_to_returns = [one.answer for one in shoppers.history.return_attempts]
    figures = {
        "kills": campaign.kills.total(),
        "kills at each point": dict(sorted(campaign.kills.items())),
        "buys": len(shoppers.answered),
        "orders": len(books.orders),
        "refused": len(books.refused),
        "returns": len(books.returns),
        "requests": len(answers) + len(answers_to_returns),
        "requests without an answer": answers.count(None) + answers_to_returns.count(None),
        "longest wait for an answer, s": round(shoppers.worst_s, 1),
        "statuses": sorted(shoppers.statuses),
        "statuses of returns": sorted(campaign.owner.statuses),
        "seconds": round(time.monotonic() - begun),
        # Any other number raises AssertionError.
        "lost, duplicate, returned twice, oversold, leaked, gaps, in doubt": 0,
    }
    print(json.dumps(figures, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
