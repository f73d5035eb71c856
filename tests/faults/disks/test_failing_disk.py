"""Writes and syncs that fail at each point of a buy or a return, and at random while shoppers buy."""

import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

import pytest

from domain.errors import OutOfStock, Unavailable
from domain.returns import Return, Returned
from domain.values import Buy
from tests.faults.disks.faulty_disk import Fault, FaultyDisk, ShouldFail
from tests.faults.local_store import LocalStore, memory_folder
from tests.faults.power.trace import Event
from tests.faults.power.verdict import broken_promise
from tests.faults.power.workload import shop
from tests.faults.vfs import in_use
from tests.support.books import Books
from tests.support.history import assert_answers_match_log

FIRST = Buy("first", "Tux", 3)
BATCH = [Buy("sold", "Tux", 2), Buy("refused", "Tux", 100_000)]
RETURNS = [Return("two", 0, 2), Return("rest", 0)]


def buy(store: LocalStore) -> object:
    """Places the batch. Returns the answers. Raises Unavailable."""
    return store.checkout.place_all(BATCH)


def give_back(store: LocalStore) -> object:
    """Gives the first order back in two returns. Returns the pieces of each, and all until then. Raises Unavailable."""
    outcomes = store.returns.give_back_all(RETURNS)
    return [(one.quantity, one.returned) if isinstance(one, Returned) else one for one in outcomes]


REQUESTS = [(buy, [1, OutOfStock()]), (give_back, [(2, 2), (1, 3)])]


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
@pytest.mark.parametrize(("ask", "replies"), REQUESTS)
def test_a_repeated_key_gets_the_right_answer_wherever_its_request_failed(
    fault: Fault, database: str, lasting: bool, ask: Callable[[LocalStore], object], replies: list[Any]
) -> None:
    points = 0
    while _ask_on_a_failing_disk(FailAt(fault, database, points + 1, lasting=lasting), ask, replies):
        points += 1
    assert points > (2 if fault is Fault.SYNC else 10), "a buy and a return have many points that can fail"


def _ask_on_a_failing_disk(fail_at: FailAt, ask: Callable[[LocalStore], object], replies: list[Any]) -> bool:
    """Asks while the disk fails, then asks again and checks the answers. Returns whether the disk failed."""
    with memory_folder() as folder:
        with disk(lambda fault, name: False) as faulty:
            store = LocalStore(folder / "data")
            store.prepare()
            store.checkout.place(FIRST)
            faulty.should_fail = fail_at
            try:
                first = ask(store)
            except Unavailable:
                pass  # the requests may have happened or not: the repeated keys tell
            else:
                assert first == replies
            fail_at.is_on = False
            # Copies the files as a kill would leave them now, with pages of the failed transaction, which SQLite may
            # count as committed. Another program copies: if this process closed a file, its locks would be dropped.
            subprocess.run(["cp", "-r", folder / "data", folder / "killed"], check=True)
            assert ask(store) == replies
            store.close()
        killed = LocalStore(folder / "killed")
        killed.prepare()
        assert ask(killed) == replies
        killed.close()
        for name in ("data", "killed"):
            books = Books.read(folder / name)
            books.check()
            told = {"first": {"0"}} | ({"sold": {"1"}, "refused": {"out of stock"}} if ask is buy else {})
            assert_answers_match_log(books, told)
            assert books.returns == ([] if ask is buy else [("two", 0, 2), ("rest", 0, 1)])
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
        assert broken_promise(folder, trace) is None
        books = Books.read(folder)
    assert sum(fail.seen.values()) == 150 and set(fail.seen) == set(Fault)
    ordered = [product for _, _, product, _ in books.orders]
    assert ordered.count("Tux") == 80, "no buy of a product with many pieces was refused"
    assert ordered.count("Ticket") + len(books.refused) == 160
    assert books.refused and books.returns
