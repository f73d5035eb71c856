"""Hours of shopping with a kill every minute, after which all must be as it was: `make soak ARGS="--minutes 120"`.

Shoppers query and buy at a steady pace, products sell out among them. Every five seconds it is noted what the workers
hold and how large the write-ahead logs are; every minute one tier is killed, and the books are audited meanwhile. What
the second quarter of the time has shown, the last must show as well: memory, threads, descriptors and latency. At the
end the books, and everything that the shoppers were told, are checked.
"""

import argparse
import tempfile
from pathlib import Path

from bench.program import RESULTS, run
from bench.soak.measure import Soak
from bench.soak.report import report
from tests.support.store import Store
from tests.support.tiers import products_file


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.soak", description=__doc__.partition("\n\n")[0])
    parser.add_argument("--minutes", type=float, default=120, help="how long (default 120)")
    options = parser.parse_args()
    if options.minutes < 1:
        parser.error("--minutes is at least 1")
    RESULTS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=RESULTS, prefix="soak-") as folder:
        products = products_file(Path(folder), "Ticket 50 5000", "Tux 25.99 1000000000")
        with Store(Path(folder) / "data", PRODUCTS=products, REFUSED_PER_S="1000") as store:
            soak = Soak(store, options.minutes * 60)
            books = soak.run()
    return report(soak, books)


if __name__ == "__main__":
    run(main)
