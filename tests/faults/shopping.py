"""Lets shoppers buy from real tiers during a fault, and checks the store afterwards.

The checks print figures: `pytest tests/faults -rP` shows them.
"""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count

from tests.support.books import Books, assert_audit_is_clean
from tests.support.shoppers import Shoppers, session
from tests.support.tiers import Tiers

CLIENTS = 8
# Between an answer and a shopper's next buy. Without pauses the test would find no more, and write more rows.
PAUSE_S = 0.01
# From the end of a fault until buys are answered, and until none is in doubt.
MAX_RECOVERY_S = 30.0
TICKETS = 50
# Tickets sell out, Tux does not.
PRODUCTS = (f"Ticket 50 {TICKETS}", "Tux 25.99 1000000")


@contextmanager
def shopping(tiers: Tiers) -> Iterator[Shoppers]:
    """Lets shoppers buy while the block runs, and waits for their last answers. Raises the first failure."""
    shoppers = Shoppers(tiers.url("front_end"), deadline_s=60.0)
    closing = threading.Event()

    def shop(number: int) -> None:
        with session() as connection:
            for turn in count():
                if closing.wait(PAUSE_S):
                    return
                shoppers.buy(connection, f"{number}-{turn}", "Ticket" if turn % 2 else "Tux", 1)

    with ThreadPoolExecutor(CLIENTS) as pool:
        done = [pool.submit(shop, number) for number in range(CLIENTS)]
        try:
            shoppers.wait_until_answered(10 * CLIENTS)
            yield shoppers
        finally:
            closing.set()
        for each in done:
            each.result()


def check_recovery(shoppers: Shoppers) -> None:
    """Asserts that a buy that begins now is answered within MAX_RECOVERY_S."""
    begun = time.monotonic()
    shoppers.wait_until_answered(len(shoppers.answered) + CLIENTS + 1)
    seconds = time.monotonic() - begun
    print(f"buys went on after {seconds:.2f} s; the longest wait so far was {shoppers.worst_s:.2f} s")
    assert seconds < MAX_RECOVERY_S


def check_books_at_rest(tiers: Tiers, shoppers: Shoppers) -> Books:
    """Asserts that no fault caused a refusal, and that all promises hold once no buy is in doubt."""
    assert shoppers.statuses <= {200, 404, 503}
    books = Books.at_rest(tiers.data_dir)
    shoppers.history.check(books)
    assert_audit_is_clean(tiers.data_dir)
    print(f"{len(books.orders)} orders, {len(books.refused)} refusals, statuses {sorted(shoppers.statuses)}")
    sold = sum(product == "Ticket" for _, _, product, _ in books.orders)
    assert sold == TICKETS or not books.refused, "no buy is refused before the last ticket is sold"
    return books
