"""Three days in the life of a store, recorded: shoppers who buy, a clean end, a kill, a restart."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from itertools import count, cycle, islice
from pathlib import Path
from random import Random
from unittest.mock import patch

import apsw

from db.connection import BUSY_TIMEOUT_MS, connect
from domain.values import Buy
from tests.faults.local_store import LocalStore, answers
from tests.faults.power.power_loss import Disk
from tests.faults.power.recording_disk import recording
from tests.faults.power.trace import Answered, Asked, Created, Event, Killed, Synced, SyncFailed

SHOPPERS = 3
BUYS_A_DAY = 100
# Between the buys of a shopper. Without it, or with more of them, most of the time goes into SQLite's busy back-off.
PAUSE_S = 0.005
# The store's own is 1,000. So few, so that many checkpoints happen, most of them while others write.
CHECKPOINT_PAGES = 40


def three_days(folder: Path, chance: Random, synchronous: str | None = None, failing_syncs: float = 0.0) -> list[Event]:
    """A trace: a day with a clean end, one that a kill ends in the middle of a commit, and one that goes on from there.

    `synchronous` takes the place of what the store itself asks of SQLite. After the first start, syncs of a write-ahead
    log fail with the probability `failing_syncs`.
    """
    rng = Random(chance.random())  # of its own: which of the shoppers' threads asks for it, only the machine knows

    def fails(name: str) -> bool:
        return name.endswith("-wal") and rng.random() < failing_syncs

    wishes = _wishes(chance)
    trace: list[Event] = []
    first, second = folder / "first", folder / "second"
    with recording(trace, CHECKPOINT_PAGES), weakened(synchronous):
        LocalStore(first).prepare()
    with recording(trace, CHECKPOINT_PAGES, fails), weakened(synchronous):
        shop(first, list(islice(wishes, BUYS_A_DAY)), trace)
        begun = len(trace)
        shop(first, list(islice(wishes, BUYS_A_DAY)), trace)
    kill(trace, chance.choice([at for at in _ends_of_commits(trace) if at > begun]), second)
    with recording(trace, CHECKPOINT_PAGES, fails), weakened(synchronous):
        # Nothing prepares this day: gunicorn's master, which does, outlives a killed worker.
        shop(second, in_doubt(trace) + list(islice(wishes, BUYS_A_DAY)), trace)
    return trace


def shop(folder: Path, buys: Sequence[Buy], trace: list[Event], shoppers: int = SHOPPERS) -> None:
    """Places all buys, some of them together, and write down what was asked and answered."""
    store = LocalStore(folder)

    def one(share: Sequence[Buy]) -> None:
        try:
            for basket in _baskets(share):
                time.sleep(PAUSE_S)
                trace.extend([Asked(buy) for buy in basket])
                replies = answers(store.checkout, basket)
                trace.extend([Answered(buy.key, reply) for buy, reply in zip(basket, replies, strict=True)])
        finally:
            store.close()

    with ThreadPoolExecutor(shoppers) as pool:
        for done in [pool.submit(one, buys[number::shoppers]) for number in range(shoppers)]:
            done.result()


def kill(trace: list[Event], at: int, folder: Path) -> None:
    """Forget what happened from `at` on; what running programs saw of the disk then stands in `folder` afterwards."""
    del trace[at:]
    disk = Disk(rng=Random())
    disk.follow(trace, len(trace))
    write_image(folder, disk.page_cache())
    trace.append(Killed())


def write_image(folder: Path, image: dict[str, bytes]) -> None:
    folder.mkdir()
    for name, content in image.items():
        (folder / name).write_bytes(content)


def log_syncs(trace: Sequence[Event]) -> list[int]:
    """Where a commit is written and not yet synced: the events that sync a write-ahead log, or fail to."""
    logs = {event.file for event in trace if isinstance(event, Created) and event.name.endswith("-wal")}
    return [at for at, event in enumerate(trace) if isinstance(event, Synced | SyncFailed) and event.file in logs]


def _ends_of_commits(trace: Sequence[Event]) -> list[int]:
    """Where a kill leaves a commit that is written and not synced, half of them behind a failed sync, if there are."""
    syncs = log_syncs(trace)
    failed = [at + 1 for at in syncs if isinstance(trace[at], SyncFailed)]
    return syncs + failed * (len(syncs) // max(1, len(failed)))


def in_doubt(trace: Sequence[Event]) -> list[Buy]:
    """What was asked and not answered."""
    answered = {event.key for event in trace if isinstance(event, Answered)}
    buys = {event.buy.key: event.buy for event in trace if isinstance(event, Asked)}
    return [buy for key, buy in buys.items() if key not in answered]


@contextmanager
def weakened(synchronous: str | None) -> Iterator[None]:
    """Connections of the store that sync less than it asks them to; none of it with None."""

    def weaker(path: Path, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> apsw.Connection:
        opened = connect(path, busy_timeout_ms)
        opened.pragma("synchronous", synchronous)
        return opened

    with patch("db.database.connect", weaker) if synchronous else nullcontext():
        yield


def _wishes(chance: Random) -> Iterator[Buy]:
    """Buys for ever, of a product that runs out, of one that does not, and of one that never was."""
    for number in count():
        [product] = chance.choices(["Ticket", "Tux", "Unicorn"], weights=[5, 4, 1])
        yield Buy(f"key-{number}", product, chance.randint(1, 2))


def _baskets(buys: Sequence[Buy]) -> Iterator[list[Buy]]:
    """One buy alone, then three that travel together, and so on."""
    rest = iter(buys)
    for size in cycle((1, 3)):
        basket = list(islice(rest, size))
        if not basket:
            return
        yield basket
