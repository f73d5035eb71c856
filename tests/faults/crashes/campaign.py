"""Shoppers who buy all the while, and kills at every point of the protocol, then at random."""

import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from db.order import OrderStore
from domain.errors import Unavailable
from domain.values import Buy
from tests.faults.crashes.points import POINTS, RECOVERY_POINTS, Victim, arm, has_fired
from tests.support.books import Books, assert_audit_is_clean
from tests.support.history import Attempt
from tests.support.shoppers import Shoppers, session
from tests.support.store import Store
from tests.support.tiers import products_file
from tests.support.waiting import wait_until

CLIENTS = 16
PAUSE_S = 0.5  # of a shopper between two buys, at most
PRODUCTS = {"Ticket": 600, "Tux": 1_000_000}  # one sells out on the way

# How long the shoppers need at most to come to a point, and a killed tier to come back, on a busy machine.
FIRES_WITHIN_S = 120.0
# A key is repeated for as long: its tiers are killed again and again meanwhile.
PATIENCE_S = 90.0


class CrashingStore(Store):
    """A store whose tiers die at armed points."""

    program = "tests.faults.crashes.run"

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        products = products_file(folder, *(f"{name} 10 {stock}" for name, stock in PRODUCTS.items()))
        super().__init__(folder / "data", PRODUCTS=products, CRASH_DIR=str(folder), REFUSED_PER_S="1000")
        self.crash_dir = folder


class Campaign:
    """Shoppers and kills for one store. `kills` counts those at each point, `say` gets a line now and then."""

    def __init__(self, store: CrashingStore, *, seed: int, say: Callable[[str], None]) -> None:
        self.shoppers = Shoppers(store.url("front_end"), patience_s=PATIENCE_S)
        self.kills: Counter[str] = Counter()
        self._store = store
        self._seed = seed
        self._say = say
        self._finished = threading.Event()

    def run(self, *, each: int, at_random: int, buys: int) -> Books:
        """Kill `each` times at each point, then `at_random` more, while at least so many buys are made.

        The books at rest, which agree with what the shoppers were told. Raises AssertionError for any that do not,
        for a point that is not reached, a key without an answer, and buys that stay in doubt.
        """
        with ThreadPoolExecutor(CLIENTS + 3) as pool:
            try:
                shopping = [pool.submit(self._shop, number) for number in range(CLIENTS)]
                lanes = [
                    pool.submit(self._kill_at, POINTS["front_end"], each),
                    pool.submit(self._kill_at, POINTS["catalog"], each),
                    pool.submit(self._kill_at, POINTS["order"] + RECOVERY_POINTS, each),
                ]
                for lane in lanes:
                    lane.result()
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
        dice = random.Random(f"{self._seed} shopper {number}")
        turn = 0
        with session() as shop:
            while not self._finished.is_set():
                product = dice.choice(sorted(PRODUCTS))
                self.shoppers.buy(shop, f"{number}-{turn}", product, dice.choice((1, 1, 1, 2, 7)))
                turn += 1
                self._finished.wait(dice.uniform(0, PAUSE_S))

    def _kill_at(self, points: Sequence[str], each: int) -> None:
        for turn, (at, point) in itertools.product(range(each), enumerate(points)):
            if self._finished.is_set():  # another lane has failed
                return
            self._kill_once(point, "worker" if (turn + at) % 2 else "master")

    def _kill_once(self, point: str, victim: Victim) -> None:
        folder = self._store.crash_dir
        arm(folder, point, victim)
        if point in RECOVERY_POINTS:
            self._leave_doubt()
            if victim == "master":  # it settles before it serves; its workers do so seconds later
                self._store.kill("order", "master")
                self._count("at random")
        wait_until(
            f"somebody comes to {point}",
            lambda: has_fired(folder, point),
            timeout_s=FIRES_WITHIN_S,
            every_s=0.01,
            details=lambda: self._store.output()[-2000:],
        )
        self._count(point)
        self._store.wait_until_all_answer()

    def _leave_doubt(self) -> None:
        """A buy like that of a shopper who gave up when its intent was on disk: nobody but the recovery ends it."""
        buy = Buy(f"given-up-{len(self.shoppers.history.attempts)}", "Tux", 1)
        now = time.monotonic()
        self.shoppers.history.attempts.append(Attempt(buy.key, buy.product, buy.quantity, now, now, answer=None))
        log = OrderStore(self._store.data_dir / "order.db")
        while True:
            try:
                log.begin([buy])
                return
            except Unavailable:
                continue
            finally:
                log.close()

    def _kill_at_random(self, times: int) -> None:
        dice = random.Random(f"{self._seed} kills")
        for _ in range(times):
            time.sleep(dice.uniform(0, 0.3))
            self._store.kill(dice.choice(sorted(POINTS)), dice.choice(("worker", "master")))
            self._count("at random")

    def _count(self, point: str) -> None:
        self.kills[point] += 1
        if self.kills.total() % 20 == 0:
            self._say(f"{self.kills.total()} kills, the last: {point}")

    def _wait_for_buys(self, buys: int, shopping: Sequence["Future[None]"]) -> None:
        while len(self.shoppers.answered) < buys:
            for shopper in shopping:
                if shopper.done():
                    shopper.result()  # it has failed: whoever waits for it would wait for ever
            self._say(f"{len(self.shoppers.answered)} of {buys} buys")
            time.sleep(1)
