"""Hours of shopping with a kill every minute, after which all must be as it was: `make soak ARGS="--minutes 120"`.

Shoppers query and buy at a steady pace, products sell out among them. Every five seconds it is noted what the workers
hold and how large the write-ahead logs are; every minute one tier is killed, and the books are audited meanwhile. What
the second quarter of the time has shown, the last must show as well: memory, threads, descriptors and latency. At the
end the books, and everything that the shoppers were told, are checked.
"""

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import cycle, product
from pathlib import Path
from threading import Event

import requests
from matplotlib.figure import Figure

from bench import machine, plots
from bench.program import RESULTS, run, say
from bench.seed import BrokenPromise
from bench.workers import MB, Holding, allowed, holding
from tests.books import Books, assert_audit_is_clean
from tests.shoppers import Shoppers, session
from tests.store import Store
from tests.tiers import NAMES, children

SHOPPERS = 8
PAUSE_S = 0.1  # of a shopper between two requests, at most
QUERIES_A_BUY = 2
SAMPLE_EVERY_S = 5.0
KILL_EVERY_S = 60.0
AUDIT_EVERY_S = 60.0
PATIENCE_S = 30.0
MOST_WAL_BYTES = 64 * MB
# A figure of the last quarter, of the same in the second. Others use the machine too.
MOST_LATENCY_GROWTH = 2.0
MOST_DESCRIPTOR_GROWTH = 1.2


@dataclass(frozen=True)
class Sample:
    """One moment, in seconds since the start: what the workers of each tier hold, and both write-ahead logs."""

    at_s: float
    tiers: Mapping[str, Holding]
    wal_bytes: Mapping[str, int]


@dataclass
class Soak:
    """A store under load, and what was seen of it."""

    store: Store
    seconds: float
    samples: list[Sample] = field(default_factory=list)
    queries: list[tuple[float, float]] = field(default_factory=list)  # when, and how long it took, both in seconds
    kills: int = 0
    over: Event = field(default_factory=Event)

    def __post_init__(self) -> None:
        self.shoppers = Shoppers(self.store.url("front_end"), patience_s=PATIENCE_S)
        self.begun = time.monotonic()

    def run(self) -> Books:
        """All of it; the books at rest. Raises BrokenPromise."""
        try:
            with ThreadPoolExecutor(SHOPPERS + 1) as pool:
                shopping = [pool.submit(self._shop, number) for number in range(SHOPPERS)]
                killing = pool.submit(self._kill)
                try:
                    self._watch([*shopping, killing])
                finally:
                    self.over.set()
                for one in [*shopping, killing]:
                    one.result()
            self.store.wait_until_all_answer()
            books = Books.at_rest(self.store.data_dir)
            self.shoppers.history.check(books)
            assert_audit_is_clean(self.store.data_dir)
        except AssertionError as broken:
            raise BrokenPromise(str(broken)) from broken
        return books

    def buys(self) -> list[tuple[float, float]]:
        """When each answered request for a buy began, and how long it took, both in seconds."""
        return [
            (attempt.begun_s - self.begun, attempt.ended_s - attempt.begun_s)
            for attempt in self.shoppers.history.attempts
            if attempt.answer is not None
        ]

    def _shop(self, number: int) -> None:
        dice = random.Random(number)
        turn = 0
        with session() as shop:
            while not self.over.is_set():
                for _ in range(QUERIES_A_BUY):
                    self._query(shop, dice.choice(("Ticket", "Tux")))
                    self.over.wait(dice.uniform(0, PAUSE_S))
                self.shoppers.buy(shop, f"{number}-{turn}", dice.choice(("Ticket", "Tux")), 1)
                turn += 1
                self.over.wait(dice.uniform(0, PAUSE_S))

    def _query(self, shop: requests.Session, name: str) -> None:
        begun = time.monotonic()
        try:
            if shop.get(f"{self.store.url('front_end')}/products/{name}", timeout=PATIENCE_S).status_code == 200:
                self.queries.append((begun - self.begun, time.monotonic() - begun))
        except requests.ConnectionError:
            pass  # a killed front end; it comes back

    def _kill(self) -> None:
        for tier, victim in cycle(product(NAMES, ("worker", "master"))):
            if self.over.wait(KILL_EVERY_S):
                return
            self.store.kill(tier, victim)
            self.kills += 1

    def _watch(self, others: Sequence["Future[None]"]) -> None:
        audit_at_s = AUDIT_EVERY_S
        while (passed_s := time.monotonic() - self.begun) < self.seconds:
            for other in others:
                if other.done():
                    other.result()  # it has failed, and the rest of the time would prove nothing
            if (sample := self._sample(passed_s)) is not None:
                self.samples.append(sample)
            if passed_s >= audit_at_s:
                audit_at_s += AUDIT_EVERY_S
                assert_audit_is_clean(self.store.data_dir)
                answered = len(self.shoppers.answered)
                say(f"{passed_s / 60:6.1f} of {self.seconds / 60:.0f} min, {answered:,} buys, {self.kills} kills")
            time.sleep(SAMPLE_EVERY_S)

    def _sample(self, at_s: float) -> Sample | None:
        """None while a killed tier is on its way back."""
        try:
            tiers = {name: self._tier(name) for name in NAMES}
        except (OSError, ValueError):
            return None
        logs = [self.store.data_dir / f"{name}.db-wal" for name in ("catalog", "order")]
        return Sample(at_s, tiers, {log.name: log.stat().st_size for log in logs if log.exists()})

    def _tier(self, name: str) -> Holding:
        held = [holding(pid) for pid in children(self.store.master(name))]
        if not held:
            raise ProcessLookupError(name)
        return sum(held[1:], start=held[0])


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.soak", description=__doc__.partition("\n\n")[0])
    parser.add_argument("--minutes", type=float, default=120, help="how long (default 120)")
    options = parser.parse_args()
    if options.minutes < 1:
        parser.error("--minutes is at least 1")
    RESULTS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=RESULTS, prefix="soak-") as folder:
        products = Path(folder, "products.txt")
        products.write_text("Ticket 50 5000\nTux 25.99 1000000000\n")
        with Store(Path(folder) / "data", PRODUCTS=str(products), REFUSED_PER_S="1000") as store:
            soak = Soak(store, options.minutes * 60)
            books = soak.run()
    return report(soak, books)


@dataclass(frozen=True)
class Row:
    """A figure that must stay as it is."""

    what: str
    settled: float  # in the second quarter
    last: float  # in the last
    most: float  # that the last may be

    @property
    def grows(self) -> bool:
        return self.last > self.most


def rows(soak: Soak) -> list[Row]:
    """All figures, and how far each may go."""

    def quarters(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
        quarter = soak.seconds / 4
        second = [value for at_s, value in points if quarter <= at_s < 2 * quarter]
        last = [value for at_s, value in points if 3 * quarter <= at_s]
        return statistics.median(second), statistics.median(last)

    found = []
    for name in NAMES:
        settled, last = quarters([(one.at_s, one.tiers[name].memory) for one in soak.samples])
        found.append(Row(f"{name}: memory of its workers, MB", settled / MB, last / MB, allowed(settled) / MB))
        for what in ("threads", "descriptors"):
            settled, last = quarters([(one.at_s, getattr(one.tiers[name], what)) for one in soak.samples])
            found.append(Row(f"{name}: {what}", settled, last, settled * MOST_DESCRIPTOR_GROWTH))
    for what, points in (("query", soak.queries), ("buy", soak.buys())):
        settled, last = quarters([(at_s, took_s * 1000) for at_s, took_s in points])
        found.append(Row(f"{what}: p50, ms", settled, last, settled * MOST_LATENCY_GROWTH))
    for log in ("catalog.db-wal", "order.db-wal"):
        most = max(one.wal_bytes.get(log, 0) for one in soak.samples) / MB
        found.append(Row(f"{log}: largest, MB", most, most, MOST_WAL_BYTES / MB))
    return found


def report(soak: Soak, books: Books) -> int:
    """Print the table, write soak.json, soak.md, soak.png and soak.svg; the exit code."""
    table = rows(soak)
    growing = [row.what for row in table if row.grows]
    attempts = soak.shoppers.history.attempts
    facts = {
        "minutes": soak.seconds / 60,
        "kills": soak.kills,
        "buys answered": len(soak.shoppers.answered),
        "orders": len(books.orders),
        "refused": len(books.refused),
        "queries": len(soak.queries),
        "requests without an answer, repeated": sum(attempt.answer is None for attempt in attempts),
        "longest wait for the answer to a buy, s": round(soak.shoppers.worst_s, 1),
    }
    lines = ["| what | second quarter | last quarter | most |", "|---|---:|---:|---:|"]
    lines += [f"| {row.what} | {row.settled:.1f} | {row.last:.1f} | {row.most:.1f} |" for row in table]
    verdict = f"Growing: {', '.join(growing)}." if growing else "Nothing grows; I1 to I6 and the history hold."
    about = "; ".join(f"{fact}: {value:,}" for fact, value in facts.items())
    text = "\n".join([*lines, "", f"{about}.", "", verdict, "", machine.line() + "."]) + "\n"
    print(text)
    title = f"# {facts['minutes']:.0f} minutes of shopping with a kill every minute (`make soak`)"
    (RESULTS / "soak.md").write_text(f"{title}\n\n{text}")
    content = {"about": machine.about(), **facts, "growing": growing, "samples": [asdict(one) for one in soak.samples]}
    (RESULTS / "soak.json").write_text(json.dumps(content, indent=1) + "\n")
    plots.save(draw(soak), RESULTS / "soak")
    return 1 if growing else 0


def draw(soak: Soak) -> Figure:
    """Memory, descriptors, write-ahead logs and latency over the minutes."""
    figure, [[memory, descriptors], [wal, latency]] = plots.panels(2, 2, width_in=12, height_in=7)
    minutes = [one.at_s / 60 for one in soak.samples]
    for color, name in zip(plots.COLORS, NAMES, strict=False):
        memory.plot(minutes, [one.tiers[name].memory / MB for one in soak.samples], color=color, label=name)
        descriptors.plot(minutes, [one.tiers[name].descriptors for one in soak.samples], color=color, label=name)
    for color, log in zip(plots.COLORS, ("catalog.db-wal", "order.db-wal"), strict=False):
        wal.plot(minutes, [one.wal_bytes.get(log, 0) / MB for one in soak.samples], color=color, label=log)
    for what, points in (("query", soak.queries), ("buy", soak.buys())):
        for share, style in ((0.5, "-"), (0.99, ":")):
            each = _by_minute(points, share)
            label = f"{what} p{share * 100:.0f}"
            latency.plot(list(each), list(each.values()), color=plots.COLOR_OF[what], linestyle=style, label=label)
    titles = ("memory of a tier's workers, MB", "their file descriptors", "write-ahead log, MB", "latency, ms")
    for panel, title in zip((memory, descriptors, wal, latency), titles, strict=True):
        panel.set_title(title)
        panel.set_xlabel("minutes")
        panel.set_ylim(bottom=0)
        panel.legend()
    latency.set_ylim(0.1)
    latency.set_yscale("log")
    figure.suptitle(f"{soak.seconds / 60:.0f} minutes of shopping, {soak.kills} kills")
    plots.caption(figure)
    return figure


def _by_minute(points: Sequence[tuple[float, float]], share: float) -> dict[int, float]:
    """This quantile of each minute, in ms."""
    minutes: dict[int, list[float]] = {}
    for at_s, took_s in points:
        minutes.setdefault(int(at_s // 60), []).append(took_s * 1000)
    return {minute: sorted(took)[int(len(took) * share)] for minute, took in sorted(minutes.items())}


if __name__ == "__main__":
    run(main)
