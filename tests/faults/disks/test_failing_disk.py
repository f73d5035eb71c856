"""Writes and syncs that fail, at each place of a buy, and at random under many shoppers."""

import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

import pytest

from domain.errors import OutOfStock, Unavailable
from domain.values import Buy
from tests.faults.disks.faulty_disk import Fault, FaultyDisk, Strikes
from tests.faults.local_store import LocalStore, memory_folder
from tests.faults.power.trace import Answered, Event
from tests.faults.power.workload import shop
from tests.faults.vfs import in_use
from tests.support.books import Books
from tests.support.history import assert_told

FIRST = Buy("first", "Tux", 1)
TOGETHER = [Buy("sold", "Tux", 2), Buy("refused", "Tux", 100_000)]
TOLD = [1, OutOfStock()]


class Once:
    """A fault at the `at`-th call of its kind on a database, and at all behind it when it is `lasting`."""

    def __init__(self, fault: Fault, database: str, at: int, *, lasting: bool) -> None:
        self._fault, self._database, self._left, self._lasting = fault, database, at, lasting
        self.struck = False
        self.is_on = True

    def __call__(self, fault: Fault, name: str) -> bool:
        if not self.is_on or fault is not self._fault or not name.startswith(self._database):
            return False
        self._left -= 1
        now = self._left <= 0 if self._lasting else self._left == 0
        self.struck = self.struck or now
        return now


@contextmanager
def disk(strikes: Strikes, checkpoint_pages: int = 1) -> Iterator[FaultyDisk]:
    """A faulty disk as SQLite's default, see `in_use`."""
    faulty = FaultyDisk(strikes)
    with in_use(faulty, checkpoint_pages):
        yield faulty


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "lasting"])
@pytest.mark.parametrize("database", ["catalog.db", "order.db"])
@pytest.mark.parametrize("fault", list(Fault))
def test_wherever_it_fails_in_a_buy_the_repeated_key_agrees(fault: Fault, database: str, lasting: bool) -> None:
    places = 0
    while _buy_on_a_disk_that_fails(Once(fault, database, places + 1, lasting=lasting)):
        places += 1
    assert places > (2 if fault is Fault.SYNC else 10), "faults at many places of a buy"


def _buy_on_a_disk_that_fails(strikes: Once) -> bool:
    """Whether the fault came, or the buy was over before."""
    with memory_folder() as folder:
        with disk(lambda fault, name: False) as faulty:
            store = LocalStore(folder / "data")
            store.prepare()
            store.checkout.place(FIRST)
            faulty.strikes = strikes
            try:
                told = store.checkout.place_all(TOGETHER)
            except Unavailable:
                pass  # it may have happened or not: the repeated key will tell
            else:
                assert told == TOLD
            strikes.is_on = False
            # What a kill would leave now: SQLite finds in the files what it has given up, and may take it for
            # committed. By another program, for a file that this one closes loses its locks.
            subprocess.run(["cp", "-r", folder / "data", folder / "killed"], check=True)
            assert store.checkout.place_all(TOGETHER) == TOLD
            store.close()
        killed = LocalStore(folder / "killed")
        killed.prepare()
        assert killed.checkout.place_all(TOGETHER) == TOLD
        killed.close()
        for name in ("data", "killed"):
            books = Books.read(folder / name)
            books.check()
            assert_told(books, {"first": {"0"}, "sold": {"1"}, "refused": {"out of stock"}})
    return strikes.struck


class Rarely:
    """Every fault now and then, at any file, until there were enough of them."""

    def __init__(self, chance: Random, probability: float, enough: int) -> None:
        self._chance, self._probability, self._left = chance, probability, enough
        self.seen: Counter[Fault] = Counter()

    def __call__(self, fault: Fault, name: str) -> bool:
        if self._left <= 0 or self._chance.random() >= self._probability:
            return False
        self._left -= 1
        self.seen[fault] += 1
        return True


def test_shoppers_get_every_order_right_from_a_disk_that_fails_now_and_then() -> None:
    trace: list[Event] = []
    buys = [Buy(f"key-{number}", "Ticket" if number % 3 else "Tux", 1) for number in range(240)]
    often = Rarely(Random(1), probability=0.03, enough=150)
    with memory_folder() as folder:
        LocalStore(folder).prepare()
        with disk(often, checkpoint_pages=20):
            shop(folder, buys, trace, shoppers=3)
        LocalStore(folder).prepare()
        books = Books.read(folder)
    assert sum(often.seen.values()) == 150 and set(often.seen) == set(Fault)
    books.check()
    assert_told(books, {event.key: {event.answer} for event in trace if isinstance(event, Answered)})
    assert len(books.orders) == 80 + 60, "all of the Tux, and tickets while there were any"
    assert len(books.refused) == 100
