"""Records a trace of a store: buys and returns until a clean end, then until a kill, then after a restart."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from itertools import count, cycle, islice
from pathlib import Path
from random import Random
from unittest.mock import patch

import apsw

from db.sqlite.connection import BUSY_TIMEOUT_MS, connect
from domain.returns import Return
from domain.values import Buy
from tests.faults.local_store import LocalStore, answers, answers_to_returns
from tests.faults.power.power_loss import Disk
from tests.faults.power.recording_disk import recording
from tests.faults.power.trace import (
    Answered,
    AnsweredReturn,
    Asked,
    AskedReturn,
    Created,
    Event,
    Killed,
    Synced,
    SyncFailed,
)

SHOPPERS = 3
BUYS_A_RUN = 100
# The pause between a shopper's buys. Without it, or with more shoppers, SQLite mostly waits in its busy back-off.
PAUSE_S = 0.005
# Fewer than the store's own 1,000, so that many checkpoints happen, most of them while other threads write.
CHECKPOINT_PAGES = 40


def record_trace(folder: Path, rng: Random, synchronous: str | None = None, failing_syncs: float = 0.0) -> list[Event]:
    """Records three runs: one with a clean end, one that a kill ends during a commit, and one after the restart.

    `synchronous` replaces the store's own setting. After the first start, syncs of a WAL fail with the probability
    `failing_syncs`.
    """
    # Syncs have a generator of their own: the shoppers' threads use it in an order that is not deterministic.
    rng_of_syncs = Random(rng.random())

    def fails(name: str) -> bool:
        return name.endswith("-wal") and rng_of_syncs.random() < failing_syncs

    wanted = _random_buys(rng)
    trace: list[Event] = []
    first, second = folder / "first", folder / "second"
    with recording(trace, CHECKPOINT_PAGES), weakened(synchronous):
        LocalStore(first).prepare()
    with recording(trace, CHECKPOINT_PAGES, fails), weakened(synchronous):
        shop(first, list(islice(wanted, BUYS_A_RUN)), trace)
        begun = len(trace)
        shop(first, list(islice(wanted, BUYS_A_RUN)), trace)
    kill(trace, rng.choice([at for at in _ends_of_commits(trace) if at > begun]), second)
    with recording(trace, CHECKPOINT_PAGES, fails), weakened(synchronous):
        # Without `prepare`, which gunicorn's master runs: it survives the kill of a worker.
        give_back(second, returns_in_doubt(trace), trace)
        shop(second, in_doubt(trace) + list(islice(wanted, BUYS_A_RUN)), trace)
    return trace


def shop(folder: Path, buys: Sequence[Buy], trace: list[Event], shoppers: int = SHOPPERS) -> None:
    """Places all buys, some of them in batches, and gives some orders back. Records each request and its answer."""
    store = LocalStore(folder)

    def buy(share: Sequence[Buy]) -> None:
        try:
            for batch in _batches(share):
                time.sleep(PAUSE_S)
                trace.extend([Asked(buy) for buy in batch])
                replies = answers(store.checkout, batch)
                trace.extend([Answered(buy.key, reply) for buy, reply in zip(batch, replies, strict=True)])
                _give_back(store, [one for reply in replies for one in _returns_of(reply)], trace)
        finally:
            store.close()

    with ThreadPoolExecutor(shoppers) as pool:
        for done in [pool.submit(buy, buys[number::shoppers]) for number in range(shoppers)]:
            done.result()


def give_back(folder: Path, returns: Sequence[Return], trace: list[Event]) -> None:
    """Gives orders back, and records each return and its answer."""
    store = LocalStore(folder)
    try:
        _give_back(store, returns, trace)
    finally:
        store.close()


def _give_back(store: LocalStore, returns: Sequence[Return], trace: list[Event]) -> None:
    trace.extend([AskedReturn(asked) for asked in returns])
    replies = answers_to_returns(store.returns, returns)
    trace.extend([AnsweredReturn(asked.key, reply) for asked, reply in zip(returns, replies, strict=True)])


def _returns_of(reply: str) -> list[Return]:
    """Returns what comes back of the order of this number: of every second one a piece, of every sixth one more.

    Half of the orders have one piece, so that the second return of them is refused.
    """
    if not reply.isdigit() or int(reply) % 2:
        return []
    pieces = [Return(f"return-{reply}", int(reply), 1)]
    return pieces if int(reply) % 6 else [*pieces, Return(f"return-{reply}-rest", int(reply), None, "the rest of it")]


def kill(trace: list[Event], at: int, folder: Path) -> None:
    """Cuts the trace off before the event `at`, and writes the files as running programs saw them to `folder`."""
    del trace[at:]
    disk = Disk(rng=Random())
    disk.replay(trace, len(trace))
    write_image(folder, disk.page_cache())
    trace.append(Killed())


def write_image(folder: Path, image: dict[str, bytes]) -> None:
    """Writes the files of an image to a new folder."""
    folder.mkdir()
    for name, content in image.items():
        (folder / name).write_bytes(content)


def wal_syncs(trace: Sequence[Event]) -> list[int]:
    """Returns the positions of the syncs of a WAL, failed ones too. Before each, a commit is written but not synced."""
    wals = {event.file for event in trace if isinstance(event, Created) and event.name.endswith("-wal")}
    return [at for at, event in enumerate(trace) if isinstance(event, Synced | SyncFailed) and event.file in wals]


def _ends_of_commits(trace: Sequence[Event]) -> list[int]:
    """Returns where a kill leaves a commit unsynced. Half of the positions follow a failed sync, if there is one."""
    syncs = wal_syncs(trace)
    failed = [at + 1 for at in syncs if isinstance(trace[at], SyncFailed)]
    return syncs + failed * (len(syncs) // max(1, len(failed)))


def in_doubt(trace: Sequence[Event]) -> list[Buy]:
    """Returns the buys without an answer."""
    answered = {event.key for event in trace if isinstance(event, Answered)}
    buys = {event.buy.key: event.buy for event in trace if isinstance(event, Asked)}
    return [buy for key, buy in buys.items() if key not in answered]


def returns_in_doubt(trace: Sequence[Event]) -> list[Return]:
    """Returns the returns without an answer."""
    answered = {event.key for event in trace if isinstance(event, AnsweredReturn)}
    asked = {event.asked.key: event.asked for event in trace if isinstance(event, AskedReturn)}
    return [one for key, one in asked.items() if key not in answered]


@contextmanager
def weakened(synchronous: str | None) -> Iterator[None]:
    """Makes the store's connections use this `synchronous` while the block runs. None changes nothing."""

    def weaker(path: Path, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> apsw.Connection:
        opened = connect(path, busy_timeout_ms)
        opened.pragma("synchronous", synchronous)
        return opened

    with patch("db.sqlite.database.connect", weaker) if synchronous else nullcontext():
        yield


def _random_buys(rng: Random) -> Iterator[Buy]:
    """Yields endless buys of a product that sells out, of one that does not, and of an unknown one."""
    for number in count():
        [product] = rng.choices(["Ticket", "Tux", "Unicorn"], weights=[5, 4, 1])
        yield Buy(f"key-{number}", product, rng.randint(1, 2))


def _batches(buys: Sequence[Buy]) -> Iterator[list[Buy]]:
    """Splits the buys into batches of one and of three, by turns."""
    rest = iter(buys)
    for size in cycle((1, 3)):
        batch = list(islice(rest, size))
        if not batch:
            return
        yield batch
