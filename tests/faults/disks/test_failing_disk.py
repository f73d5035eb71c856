"""Writes and syncs that fail at each point of a buy, and at random while shoppers buy."""

import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

import pytest

from domain.errors import OutOfStock, Unavailable
from domain.values import Buy
from tests.faults.disks.faulty_disk import Fault, FaultyDisk, ShouldFail
from tests.faults.local_store import LocalStore, memory_folder
from tests.faults.power.trace import Answered, Event
from tests.faults.power.workload import shop
from tests.faults.vfs import in_use
from tests.support.books import Books
from tests.support.history import assert_answers_match_log

FIRST = Buy("first", "Tux", 1)
BATCH = [Buy("sold", "Tux", 2), Buy("refused", "Tux", 100_000)]
REPLIES = [1, OutOfStock()]


class FailAt:
    """Fails the `at`-th write or sync of a database, and with `lasting` all later ones too."""

    def __init__(self, fault: Fault, database: str, at: int, *, lasting: bool) -> None:
        self._fault, self._database, self._left, self._lasting = fault, database, at, lasting
        self.has_failed = False
        self.is_on = True

    def __call__(self, fault: Fault, name: str) -> bool:
        if not self.is_on or fault is not self._fault or not name.startswith(self._database):
            return False
        self._left -= 1
        fails = self._left <= 0 if self._lasting else self._left == 0
        self.has_failed = self.has_failed or fails
        return fails


@contextmanager
def disk(should_fail: ShouldFail, checkpoint_pages: int = 1) -> Iterator[FaultyDisk]:
    """Makes a faulty disk SQLite's default while the block runs, see `in_use`."""
    faulty = FaultyDisk(should_fail)
    with in_use(faulty, checkpoint_pages):
        yield faulty


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "lasting"])
@pytest.mark.parametrize("database", ["catalog.db", "order.db"])
@pytest.mark.parametrize("fault", list(Fault))
def test_a_repeated_key_gets_the_right_answer_wherever_its_buy_failed(
    fault: Fault, database: str, lasting: bool
) -> None:
    points = 0
    while _buy_on_a_failing_disk(FailAt(fault, database, points + 1, lasting=lasting)):
        points += 1
    assert points > (2 if fault is Fault.SYNC else 10), "a buy has many points that can fail"


def _buy_on_a_failing_disk(fail_at: FailAt) -> bool:
    """Buys while the disk fails, then repeats the buys and checks their answers. Returns whether the disk failed."""
    with memory_folder() as folder:
        with disk(lambda fault, name: False) as faulty:
            store = LocalStore(folder / "data")
            store.prepare()
            store.checkout.place(FIRST)
            faulty.should_fail = fail_at
            try:
                replies = store.checkout.place_all(BATCH)
            except Unavailable:
                pass  # the buys may have happened or not: the repeated keys tell
            else:
                assert replies == REPLIES
            fail_at.is_on = False
            # Copies the files as a kill would leave them now, with pages of the failed transaction, which SQLite may
            # count as committed. Another program copies: if this process closed a file, its locks would be dropped.
            subprocess.run(["cp", "-r", folder / "data", folder / "killed"], check=True)
            assert store.checkout.place_all(BATCH) == REPLIES
            store.close()
        killed = LocalStore(folder / "killed")
        killed.prepare()
        assert killed.checkout.place_all(BATCH) == REPLIES
        killed.close()
        for name in ("data", "killed"):
            books = Books.read(folder / name)
            books.check()
            assert_answers_match_log(books, {"first": {"0"}, "sold": {"1"}, "refused": {"out of stock"}})
    return fail_at.has_failed


class FailAtRandom:
    """Fails any write or sync of any file with this probability, `times` times in all."""

    def __init__(self, rng: Random, probability: float, times: int) -> None:
        self._rng, self._probability, self._left = rng, probability, times
        self.seen: Counter[Fault] = Counter()

    def __call__(self, fault: Fault, name: str) -> bool:
        if self._left <= 0 or self._rng.random() >= self._probability:
            return False
        self._left -= 1
        self.seen[fault] += 1
        return True


def test_every_order_is_right_on_a_disk_that_fails_at_random() -> None:
    trace: list[Event] = []
    buys = [Buy(f"key-{number}", "Ticket" if number % 3 else "Tux", 1) for number in range(240)]
    fail = FailAtRandom(Random(1), probability=0.03, times=150)
    with memory_folder() as folder:
        LocalStore(folder).prepare()
        with disk(fail, checkpoint_pages=20):
            shop(folder, buys, trace, shoppers=3)
        LocalStore(folder).prepare()
        books = Books.read(folder)
    assert sum(fail.seen.values()) == 150 and set(fail.seen) == set(Fault)
    books.check()
    assert_answers_match_log(books, {event.key: {event.answer} for event in trace if isinstance(event, Answered)})
    assert len(books.orders) == 80 + 60, "all of the Tux, and tickets until they were sold out"
    assert len(books.refused) == 100
