"""Runs the soak test, hours of shopping with a kill every minute: `make soak ARGS="--minutes 120"`.

Shoppers query and buy at a steady pace, and one product sells out. Every five seconds the resources of the workers and
the sizes of the write-ahead logs are sampled; every minute one tier is killed and the books are audited. Memory,
threads, descriptors and latency may grow by no more than a limit from the second quarter to the last. At the end the
books and all answers to the shoppers are checked.
"""

import argparse
import tempfile
from pathlib import Path

from bench.program import RESULTS, run
from bench.soak.measure import Soak
from bench.soak.report import report
from tests.support.supervised_store import SupervisedStore
from tests.support.tiers import products_file


def main() -> int:
    """Runs the soak test, and writes its report. Returns 1 when a figure has grown too much."""
    parser = argparse.ArgumentParser(prog="bench.soak", description=__doc__.partition("\n\n")[0])
    parser.add_argument("--minutes", type=float, default=120, help="how long (default 120)")
    options = parser.parse_args()
    if options.minutes < 1:
        parser.error("--minutes is at least 1")
    RESULTS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=RESULTS, prefix="soak-") as folder:
        # The tickets sell out. The rate limit is high, so that the buys refused from then on are not throttled.
        products = products_file(Path(folder), "Ticket 50 5000", "Tux 25.99 1000000000")
        with SupervisedStore(Path(folder) / "data", PRODUCTS=products, REFUSED_PER_S="1000") as store:
            soak = Soak(store, options.minutes * 60)
            books = soak.run()
    return report(soak, books)


if __name__ == "__main__":
    run(main)
