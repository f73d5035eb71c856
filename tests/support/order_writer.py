"""A process that writes orders until it is killed: `python -m tests.support.order_writer <address> <name>`.

It logs batches of buys as an order tier does, and leaves some of them in doubt. Behind each batch it prints the number
and the key of each order as a line.
"""

import itertools
import sys

from db.postgres.database import Database
from db.postgres.order import SCHEMA, OrderStore
from domain.errors import OutOfStock
from domain.values import Buy, Sold

BATCH = 5


def main(address: str, name: str) -> None:
    """Writes batches of BATCH buys: one is refused, and every third batch is left in doubt."""
    orders = OrderStore(Database(address, SCHEMA))
    for turn in itertools.count():
        buys = [Buy(f"{name}-{turn}-{place}", "Tux", 1) for place in range(BATCH)]
        orders.begin(buys)
        if turn % 3 == 2:
            continue
        placed = orders.finish([(buy, OutOfStock() if buy is buys[0] else Sold(2599)) for buy in buys])
        for number, buy in zip(placed[1:], buys[1:], strict=True):
            print(number, buy.key, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
