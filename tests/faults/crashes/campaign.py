"""Kills tiers at every point of the protocol, and then at random, while shoppers buy and owners give back."""

import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from db.sqlite.order import OrderStore
from domain.errors import Unavailable
from domain.returns import Return, ReturnOutcome, SaleReturn
from domain.values import Buy
from tests.faults.crashes.points import (
    BUY_POINTS,
    BUY_RECOVERY_POINTS,
    RETURN_POINTS,
    RETURN_RECOVERY_POINTS,
    Victim,
    arm,
    has_fired,
)
from tests.support.books import Books, assert_audit_is_clean
from tests.support.history import Attempt
from tests.support.owners import SECRET, Owner, new_or_sent_return, new_return
from tests.support.return_history import ReturnAttempt
from tests.support.shoppers import Shoppers, session
from tests.support.supervised_store import SupervisedStore
from tests.support.tiers import products_file
from tests.support.waiting import wait_until

T = TypeVar("T")

CLIENTS = 16
OWNERS = 3
MAX_PAUSE_S = 0.5  # of a shopper between two buys, and of an owner between two returns
PRODUCTS = {"Ticket": 600, "Tux": 1_000_000}  # stock by name; the tickets sell out

# A busy machine may need this long to restart a killed tier and to reach an armed point.
FIRE_TIMEOUT_S = 120.0
# A shopper repeats a buy, and an owner a return, for this long, because tiers may be killed during each try.
DEADLINE_S = 90.0


class CrashingStore(SupervisedStore):
    """A store whose tiers die at armed points."""

    program = "tests.faults.crashes.run"

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        products = products_file(folder, *(f"{name} 10 {stock}" for name, stock in PRODUCTS.items()))
        super().__init__(
            folder / "data", PRODUCTS=products, CRASH_DIR=str(folder), REFUSED_PER_S="1000", OWNER_SECRET=SECRET
        )
        self.crash_dir = folder


class Campaign:
    """Shoppers, owners and kills for one store. `kills` counts the kills by point. `on_progress` gets lines to show."""

    def __init__(self, store: CrashingStore, *, seed: int, on_progress: Callable[[str], None]) -> None:
        self.shoppers = Shoppers(store.url("front_end"), deadline_s=DEADLINE_S)
        self.owner = Owner(store.url("order"), self.shoppers.history, deadline_s=DEADLINE_S)
        self.kills: Counter[str] = Counter()
        self._store = store
        self._seed = seed
        self._on_progress = on_progress
        self._finished = threading.Event()

    def run(self, *, each: int, at_random: int, buys: int) -> Books:
        """Kills `each` times at each point, then `at_random` times at random, then waits for `buys` answered buys.

        Returns the books at rest. Raises AssertionError when they disagree with an answer, a point is not reached, a
        key gets no answer, or a buy or a return stays in doubt.
        """
        recovery = BUY_RECOVERY_POINTS + RETURN_RECOVERY_POINTS
        # One killer a tier: with two, it would be away for most of the time.
        routes = [
            BUY_POINTS["front_end"],
            BUY_POINTS["catalog"] + RETURN_POINTS["catalog"],
            BUY_POINTS["order"] + RETURN_POINTS["order"] + recovery,
        ]
        with ThreadPoolExecutor(CLIENTS + OWNERS + len(routes)) as pool:
            try:
                shopping = [pool.submit(self._shop, number) for number in range(CLIENTS)]
                shopping += [pool.submit(self._give_back, number) for number in range(OWNERS)]
                killers = [pool.submit(self._kill_at, points, each) for points in routes]
                for killer in killers:
                    killer.result()
                self._kill_at_random(at_random)
                self._wait_for_buys(buys, shopping)
            finally:
                self._finished.set()
            for shopper in shopping:
                shopper.result()
        self._store.wait_until_all_answer()
        books = Books.at_rest(self._store.data_dir)
        self.shoppers.history.check(books)
        assert_audit_is_clean(self._store.data_dir)
        return books

    def _shop(self, number: int) -> None:
        """Buys as one shopper until the campaign is finished."""
        rng = random.Random(f"{self._seed} shopper {number}")
        bought = 0
        with session() as shop:
            while not self._finished.is_set():
                product = rng.choice(sorted(PRODUCTS))
                self.shoppers.buy(shop, f"{number}-{bought}", product, rng.choice((1, 1, 1, 2, 7)))
                bought += 1
                self._finished.wait(rng.uniform(0, MAX_PAUSE_S))

    def _give_back(self, number: int) -> None:
        """Gives orders back as one owner until the campaign is finished."""
        rng = random.Random(f"{self._seed} owner {number}")
        with session() as desk:
            for turn in itertools.count():
                if self._finished.wait(rng.uniform(0, MAX_PAUSE_S)):
                    return
                asked = new_or_sent_return(self.shoppers.history, f"return-{number}-{turn}", rng)
                if asked is not None:
                    self.owner.give_back(desk, asked)

    def _kill_at(self, points: Sequence[str], each: int) -> None:
        """Kills `each` times at each of the points, one after the other: workers and masters by turns."""
        for round_number, (index, point) in itertools.product(range(each), enumerate(points)):
            if self._finished.is_set():  # another killer has failed
                return
            self._kill_once(point, "worker" if (round_number + index) % 2 else "master")

    def _kill_once(self, point: str, victim: Victim) -> None:
        """Arms the point, waits until a process has reached it, and waits until all tiers answer again."""
        folder = self._store.crash_dir
        arm(folder, point, victim)
        if point in BUY_RECOVERY_POINTS + RETURN_RECOVERY_POINTS:
            if point in BUY_RECOVERY_POINTS:
                self._leave_intent()
            else:
                self._leave_return_intent()
            if victim == "master":  # a new master settles the intent at its start, before its workers would
                self._store.kill("order", "master")
                self._count("at random")
        wait_until(
            f"a process reaches {point}",
            lambda: has_fired(folder, point),
            timeout_s=FIRE_TIMEOUT_S,
            every_s=0.01,
            details=lambda: self._store.output()[-2000:],
        )
        self._count(point)
        self._store.wait_until_all_answer()

    def _leave_intent(self) -> None:
        """Leaves a buy in doubt that no shopper repeats, so that only the recovery can settle it."""
        buy = Buy(f"left-in-doubt-{len(self.shoppers.history.attempts)}", "Tux", 1)
        now = time.monotonic()
        self.shoppers.history.attempts.append(Attempt(buy.key, buy.product, buy.quantity, now, now, answer=None))
        self._begin(lambda log: log.begin([buy]))

    def _leave_return_intent(self) -> None:
        """Leaves a return in doubt that no owner repeats."""
        history = self.shoppers.history
        rng = random.Random(len(history.return_attempts))
        while not self._finished.is_set():
            asked = new_return(history, f"left-in-doubt-{len(history.return_attempts)}", rng)
            if asked is None:  # no order is answered yet
                self._finished.wait(0.1)
                continue
            now = time.monotonic()
            history.return_attempts.append(ReturnAttempt(asked.key, asked.number, asked.quantity, now, now, None))
            [begun] = self._begin(partial(_begin_return, asked))
            if isinstance(begun, SaleReturn):  # otherwise no piece is left of the order
                return

    def _begin(self, begin: Callable[[OrderStore], T]) -> T:
        """Returns the result of a call of the running store's order log, repeated while the log is busy."""
        log = OrderStore(self._store.data_dir / "order.db")
        while True:
            try:
                return begin(log)
            except Unavailable:
                assert not self._finished.is_set(), "another killer has failed"
            finally:
                log.close()  # the next try opens the file again

    def _kill_at_random(self, times: int) -> None:
        rng = random.Random(f"{self._seed} kills")
        for _ in range(times):
            time.sleep(rng.uniform(0, 0.3))
            self._store.kill(rng.choice(sorted(BUY_POINTS)), rng.choice(("worker", "master")))
            self._count("at random")

    def _count(self, point: str) -> None:
        """Counts a kill, and reports every twentieth."""
        self.kills[point] += 1
        if self.kills.total() % 20 == 0:
            self._on_progress(f"{self.kills.total()} kills, the last: {point}")

    def _wait_for_buys(self, buys: int, shopping: Sequence["Future[None]"]) -> None:
        """Waits for that many answered buys. Raises the failure of a shopper."""
        while len(self.shoppers.answered) < buys:
            for shopper in shopping:
                if shopper.done():
                    shopper.result()  # raises its failure: without it the wait would not end
            self._on_progress(f"{len(self.shoppers.answered)} of {buys} buys")
            time.sleep(1)


def _begin_return(asked: Return, log: OrderStore) -> list[SaleReturn | ReturnOutcome]:
    return log.begin_returns([asked])
