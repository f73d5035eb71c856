"""Power losses under both databases at once lose no answer. `python -m tests.faults.power` makes many more."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest

from domain.returns import Return, Returned
from domain.values import Buy
from tests.faults.local_store import LocalStore, memory_folder
from tests.faults.power.cuts import cut_power
from tests.faults.power.power_loss import Disk
from tests.faults.power.recording_disk import recording
from tests.faults.power.trace import Answered, AnsweredReturn, Asked, AskedReturn, Event, Synced, SyncFailed
from tests.faults.power.verdict import broken_promise
from tests.faults.power.workload import (
    CHECKPOINT_PAGES,
    give_back,
    in_doubt,
    kill,
    record_trace,
    returns_in_doubt,
    shop,
    wal_syncs,
    write_image,
)


def test_no_power_loss_loses_an_answer() -> None:
    cuts = list(cut_power(300, seed=1))
    assert [cut for cut in cuts if cut.broken] == []
    assert sum(cut.uncertain for cut in cuts) > 30, "some cuts come between a write and its sync"
    assert sum(cut.after_kill for cut in cuts) > 30
    assert sum(cut.answered for cut in cuts) > 3_000


def test_no_power_loss_after_a_failed_sync_loses_an_answer() -> None:
    cuts = list(cut_power(200, seed=1, failing_syncs=0.04))
    assert [cut for cut in cuts if cut.broken] == []
    assert sum(cut.failed_syncs > 0 for cut in cuts) > 100


def test_the_same_cuts_find_the_lost_answers_of_a_store_that_does_not_sync_each_commit() -> None:
    broken = [cut.broken for cut in cut_power(60, seed=1, synchronous="NORMAL") if cut.broken]
    assert len(broken) > 10
    assert any(what.startswith("I5") for what in broken), "acknowledged orders are gone"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder in memory, where possible."""
    with memory_folder() as folder:
        yield folder


def test_a_power_loss_at_any_point_of_a_first_start_does_no_harm(folder: Path) -> None:
    trace: list[Event] = []
    with recording(trace, CHECKPOINT_PAGES):
        LocalStore(folder / "first").prepare()
    disk, rng = Disk(rng=Random(1)), Random(1)
    for at in range(len(trace) + 1):
        disk.replay(trace, at)
        for survival in (0.0, 0.3, 0.7, 1.0):
            left = folder / f"{at}-{survival}"
            write_image(left, disk.after_power_loss(rng, survival))
            assert broken_promise(left, []) is None, f"event {at}, survival {survival}"


@pytest.mark.parametrize("fails", [False, True], ids=["", "after a failed sync"])
def test_an_unsynced_commit_of_a_killed_worker_is_durable_before_it_is_an_answer(folder: Path, fails: bool) -> None:
    before: list[Event] = []
    with recording(before, CHECKPOINT_PAGES):
        LocalStore(folder / "first").prepare()
        shop(folder / "first", [Buy(f"key-{number}", "Tux", 1) for number in range(2)], before, shoppers=1)
    opened = next(at for at, event in enumerate(before) if isinstance(event, Asked))
    repeated = 0
    for at in wal_syncs(before):
        if at < opened:
            continue
        trace = list(before)
        match trace[at]:
            case Synced(file, upto) if fails:
                trace[at] = SyncFailed(file, upto)
        kill(trace, at + 1 if fails else at, folder / f"killed-{at}")
        with recording(trace, CHECKPOINT_PAGES):
            give_back(folder / f"killed-{at}", returns_in_doubt(trace), trace)
            shop(folder / f"killed-{at}", in_doubt(trace), trace, shoppers=1)
        for broken in _after_each_answer(trace, at, folder):
            assert broken is None, f"killed at event {at}"
            repeated += 1
    assert repeated > 6


def test_a_trace_has_returns_that_were_logged_and_others_that_were_refused(folder: Path) -> None:
    answers = [event.answer for event in record_trace(folder, Random(1)) if isinstance(event, AnsweredReturn)]
    assert sum(isinstance(answer, Returned) for answer in answers) > 40
    assert any(isinstance(answer, str) for answer in answers)


@pytest.mark.parametrize(
    ("answer", "broken"),
    [
        (Returned(0, 1, 1, "now"), "lost was told Returned"),
        ("no piece of order 0 is left to give back", "lost was told .*'no piece .* while at least 2 pieces of order 0"),
    ],
)
def test_a_lost_return_and_a_wrong_refusal_break_a_promise(folder: Path, answer: Returned | str, broken: str) -> None:
    trace: list[Event] = []
    LocalStore(folder / "store").prepare()
    shop(folder / "store", [Buy("a", "Tux", 2)], trace, shoppers=1)  # and gives both pieces back
    assert broken_promise(folder / "store", trace) is None
    lost = Return("lost", 0, 1)
    before = next(at for at, event in enumerate(trace) if isinstance(event, AskedReturn))
    told = [*trace[:before], AskedReturn(lost), AnsweredReturn(lost.key, answer), *trace[before:]]
    found = broken_promise(folder / "store", told)
    assert found is not None and re.match(f"I5: the log of returns disagrees with an answer: {broken}", found), found


class WorstCase(Random):
    """A random generator for `Disk` with which a failed sync writes nothing."""

    def choice(self, seq: Any) -> Any:
        return min(seq)


def _after_each_answer(trace: Sequence[Event], start: int, folder: Path) -> list[str | None]:
    """Returns the broken promise, or None, for a power loss after each answer that loses all unsynced bytes."""
    disk, found = Disk(rng=WorstCase()), []
    for at in range(start, len(trace)):
        if isinstance(trace[at], Answered | AnsweredReturn):
            disk.replay(trace, at + 1)
            image = folder / f"cut-{start}-{at}"
            write_image(image, disk.after_power_loss(Random(), survival=0.0))
            found.append(broken_promise(image, trace[: at + 1]))
    return found
