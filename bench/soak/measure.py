"""Shops, kills and audits for the given time, and samples the resources of the store."""

import random
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import cycle, product
from threading import Event

import requests

from bench.program import print_progress
from bench.seed import BrokenPromise
from bench.workers import ResourceUsage, resource_usage
from tests.support.books import Books, assert_audit_is_clean
from tests.support.shoppers import Shoppers, session
from tests.support.supervised_store import SupervisedStore
from tests.support.tiers import NAMES, children

SHOPPERS = 8
MAX_PAUSE_S = 0.1  # of a shopper between two requests
QUERIES_A_BUY = 2
SAMPLE_EVERY_S = 5.0
KILL_EVERY_S = 60.0
AUDIT_EVERY_S = 60.0
DEADLINE_S = 30.0  # of a request, and of a buy with its repetitions


@dataclass(frozen=True)
class Sample:
    """The resources of each tier's workers and the sizes of both write-ahead logs, `at_s` seconds after the start."""

    at_s: float
    tiers: Mapping[str, ResourceUsage]
    wal_bytes: Mapping[str, int]


@dataclass
class Soak:
    """A store under load, and what was measured: samples, queries, kills, and the history of the `shoppers`."""

    store: SupervisedStore
    seconds: float
    samples: list[Sample] = field(default_factory=list)
    queries: list[tuple[float, float]] = field(default_factory=list)  # begin and duration, in seconds
    kills: int = 0
    over: Event = field(default_factory=Event)

    def __post_init__(self) -> None:
        self.shoppers = Shoppers(self.store.url("front_end"), deadline_s=DEADLINE_S)
        self.begun = time.monotonic()

    def run(self) -> Books:
        """Runs the soak test to its end, and returns the books at rest. Raises BrokenPromise."""
        try:
            with ThreadPoolExecutor(SHOPPERS + 1) as pool:
                shopping = [pool.submit(self._shop, number) for number in range(SHOPPERS)]
                killing = pool.submit(self._kill)
                try:
                    self._sample_and_audit([*shopping, killing])
                finally:
                    self.over.set()
                for future in [*shopping, killing]:
                    future.result()  # raises its failure
            self.store.wait_until_all_answer()
            books = Books.at_rest(self.store.data_dir)
            self.shoppers.history.check(books)
            assert_audit_is_clean(self.store.data_dir)
        except AssertionError as broken:
            raise BrokenPromise(str(broken)) from broken
        return books

    def buys(self) -> list[tuple[float, float]]:
        """Returns begin and duration of each answered request for a buy, in seconds."""
        return [
            (attempt.begun_s - self.begun, attempt.ended_s - attempt.begun_s)
            for attempt in self.shoppers.history.attempts
            if attempt.answer is not None
        ]

    def _shop(self, number: int) -> None:
        """Queries and buys as one shopper until the run is over."""
        rng = random.Random(number)
        turn = 0
        with session() as shop:
            while not self.over.is_set():
                for _ in range(QUERIES_A_BUY):
                    self._query(shop, rng.choice(("Ticket", "Tux")))
                    self.over.wait(rng.uniform(0, MAX_PAUSE_S))
                self.shoppers.buy(shop, f"{number}-{turn}", rng.choice(("Ticket", "Tux")), 1)
                turn += 1
                self.over.wait(rng.uniform(0, MAX_PAUSE_S))

    def _query(self, shop: requests.Session, name: str) -> None:
        """Queries a product, and records the begin and duration of an answered query."""
        begun = time.monotonic()
        try:
            if shop.get(f"{self.store.url('front_end')}/products/{name}", timeout=DEADLINE_S).status_code == 200:
                self.queries.append((begun - self.begun, time.monotonic() - begun))
        except requests.ConnectionError:
            pass  # a killed front end, which supervisord restarts

    def _kill(self) -> None:
        """Kills a worker or master of each tier in turn, one every minute."""
        for tier, victim in cycle(product(NAMES, ("worker", "master"))):
            if self.over.wait(KILL_EVERY_S):
                return
            self.store.kill(tier, victim)
            self.kills += 1

    def _sample_and_audit(self, futures: Sequence["Future[None]"]) -> None:
        """Samples and audits until the time is over. Raises the first failure of the `futures`."""
        audit_at_s = AUDIT_EVERY_S
        while (passed_s := time.monotonic() - self.begun) < self.seconds:
            for future in futures:
                if future.done():
                    future.result()  # raises its failure: the rest of the run would prove nothing
            if (sample := self._sample(passed_s)) is not None:
                self.samples.append(sample)
            if passed_s >= audit_at_s:
                audit_at_s += AUDIT_EVERY_S
                assert_audit_is_clean(self.store.data_dir)
                answered = len(self.shoppers.answered)
                print_progress(
                    f"{passed_s / 60:6.1f} of {self.seconds / 60:.0f} min, {answered:,} buys, {self.kills} kills"
                )
            time.sleep(SAMPLE_EVERY_S)

    def _sample(self, at_s: float) -> Sample | None:
        """Returns a sample, or None while a killed tier restarts."""
        try:
            tiers = {name: self._usage(name) for name in NAMES}
        except (OSError, ValueError):
            return None
        logs = [self.store.data_dir / f"{name}.db-wal" for name in ("catalog", "order")]
        return Sample(at_s, tiers, {log.name: log.stat().st_size for log in logs if log.exists()})

    def _usage(self, name: str) -> ResourceUsage:
        """Returns the resources of all workers of a tier. Raises OSError or ValueError while the tier restarts."""
        usages = [resource_usage(pid) for pid in children(self.store.master(name))]
        if not usages:
            raise ProcessLookupError(name)
        return sum(usages[1:], start=usages[0])
