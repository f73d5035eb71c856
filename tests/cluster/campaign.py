"""Runs faults on one store, one after the other, each under the load of shoppers, and judges the books after each."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from tests.cluster.books import read_at_rest
from tests.cluster.faults import Fault
from tests.cluster.shopping import INTERNAL_ERROR, Shopping, longest_gap_s
from tests.cluster.store import FaultyStore
from tests.cluster.verdict import Verdict, judge
from tests.support.history import History

# Buys before a fault begins, and after it has ended.
_BUYS_AROUND = 200
_PROGRESS_INTERVAL_S = 5.0
# A buy that is answered by nothing for this long after the last fault stays unanswered.
_GIVE_UP_AFTER_S = 60.0


@dataclass(frozen=True, slots=True)
class Result:
    """The effect of a fault."""

    fault: Fault
    answered: int
    without_answer: int  # requests that were repeated for want of an answer
    longest_gap_s: float
    verdict: Verdict

    def __str__(self) -> str:
        late = (
            f"  (more than {self.fault.expected_gap_s:g} s)" if self.longest_gap_s > self.fault.expected_gap_s else ""
        )
        found = "" if self.verdict.is_clean else f"  FOUND {self.verdict}"
        return (
            f"{self.fault.name:36} {self.answered:8,} {self.without_answer:8,} {self.longest_gap_s:9.1f} s{late}{found}"
        )


HEADING = f"{'fault':36} {'answered':>8} {'repeated':>8} {'longest gap':>11}"


class Campaign:
    """The faults of one store. `on_progress` gets lines to show."""

    def __init__(self, store: FaultyStore, *, shoppers: int, seed: int, on_progress: Callable[[str], None]) -> None:
        self.statuses: Counter[int] = Counter()
        self.answered = 0
        self._store = store
        self._shoppers = shoppers
        self._seed = seed
        self._on_progress = on_progress
        self._history = History()
        self._unanswered: list[str] = []
        self._found: set[str] = set()
        self._shown_s = 0.0
        self._phase = 0

    def run_one(self, fault: Fault, buys: int) -> Result:
        """Runs a fault under load, until the store is whole again and at least `buys` buys are answered."""
        shopping = Shopping(
            self._store.tiers.shop,
            self._shoppers,
            prefix=f"{self._seed}-{self._phase}",
            products=self._store.products(self._phase),
            seed=self._seed,
        )
        self._phase += 1
        self._on_progress(f"{fault.name}: shoppers begin")
        shopping.start()
        try:
            self._wait_for(shopping, _BUYS_AROUND)
            begun_s = time.monotonic()
            self._disturb(fault, shopping)
            self._store.wait_until_whole(lambda: self._show(shopping))
            self._wait_for(shopping, shopping.answered() + _BUYS_AROUND)
            ended_s = time.monotonic()
            self._wait_for(shopping, buys)
        finally:
            shopping.stop(_GIVE_UP_AFTER_S)
        result = Result(
            fault,
            shopping.answered(),
            sum(attempt.answer is None for attempt in shopping.history.attempts),
            longest_gap_s(shopping.answered_s, begun_s, ended_s),
            self._judge(shopping),
        )
        self._on_progress(str(result))
        return result

    def _disturb(self, fault: Fault, shopping: Shopping) -> None:
        """Runs the fault, and shows the progress meanwhile."""

        def watch() -> None:
            while not ended.wait(1):
                self._show(shopping)

        ended = threading.Event()
        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            # In this thread, which lives as long as the processes that it starts again.
            fault.run(self._store)
        finally:
            ended.set()
            watcher.join()

    def _judge(self, shopping: Shopping) -> Verdict:
        """Judges all that was bought until now. Returns what was not found before."""
        self._history.attempts += shopping.history.attempts
        self._unanswered += shopping.unanswered()
        self.statuses += shopping.statuses
        self.answered += shopping.answered()
        books, failed_checks = read_at_rest(self._store.address)
        if shopping.statuses[INTERNAL_ERROR]:
            failed_checks["responses of status 500"] = shopping.statuses[INTERNAL_ERROR]
        whole = judge(self._history, books, unanswered=self._unanswered, failed_checks=failed_checks)
        verdict = whole.without(self._found)
        self._found.update(line for lines in verdict.found.values() for line in lines)
        return verdict

    def _wait_for(self, shopping: Shopping, buys: int) -> None:
        """Waits until so many buys are answered. Raises TimeoutError when there is no answer for a long time."""
        last, since_s = -1, time.monotonic()
        while (answered := shopping.answered()) < buys:
            if answered != last:
                last, since_s = answered, time.monotonic()
            elif time.monotonic() - since_s > 120:
                raise TimeoutError(f"no buy is answered any more, after {answered}; statuses {dict(shopping.statuses)}")
            self._show(shopping)
            time.sleep(0.1)

    def _show(self, shopping: Shopping) -> None:
        now = time.monotonic()
        if now - self._shown_s > _PROGRESS_INTERVAL_S:
            self._shown_s = now
            members = "; ".join(f"{one.name} {one.role} {one.state}" for one in self._store.databases.members())
            self._on_progress(f"  {shopping.answered():,} answered; {members or 'no node answers'}")
