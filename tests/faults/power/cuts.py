"""Cuts the power at random points of a trace, and checks a store that starts on what is left."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from tests.faults.local_store import memory_folder
from tests.faults.power.power_loss import Disk
from tests.faults.power.trace import Answered, AnsweredReturn, Event, Killed, SyncFailed
from tests.faults.power.verdict import broken_promise
from tests.faults.power.workload import record_trace, write_image

# Images from one trace. With failing syncs, another trace matters more than another cut of the same one.
IMAGES_A_TRACE = 250
IMAGES_A_FAILING_TRACE = 40
# The first answers after the kill, which may depend on what the killed processes had written but not synced.
FIRST_ANSWERS = 12


@dataclass(frozen=True, slots=True)
class Cut:
    """One power loss, before the event `at` of a trace. `broken` is the first promise that did not hold."""

    trace: int
    at: int
    answered: int
    after_kill: bool
    failed_syncs: int
    uncertain: bool
    broken: str | None


def cut_power(images: int, seed: int, synchronous: str | None = None, failing_syncs: float = 0.0) -> Iterator[Cut]:
    """Yields `images` cuts, from as many traces as needed. The other parameters are those of `record_trace`."""
    images_a_trace = IMAGES_A_FAILING_TRACE if failing_syncs else IMAGES_A_TRACE
    for trace_number, first in enumerate(range(0, images, images_a_trace)):
        rng = Random(f"{seed}-{trace_number}")
        with memory_folder() as folder:
            trace = record_trace(folder, rng, synchronous, failing_syncs)
        yield from _cut(trace, trace_number, min(images_a_trace, images - first), rng)


def _cut(trace: Sequence[Event], number: int, images: int, rng: Random) -> Iterator[Cut]:
    """Cuts the power at random points of one trace. Yields the results in the order of the points."""
    killed = trace.index(Killed())
    disk = Disk(rng)
    for at in sorted(_cut_points(trace, killed, images, rng)):
        disk.replay(trace, at)
        # In a third of the cuts nothing unsynced survives, in a third everything, and in a third a random part.
        survival = rng.choice([0.0, 1.0, rng.random()])
        with memory_folder() as folder:
            write_image(folder / "data", disk.after_power_loss(rng, survival))
            broken = broken_promise(folder / "data", trace[:at])
        answered = sum(isinstance(event, Answered | AnsweredReturn) for event in trace[:at])
        failed = sum(isinstance(event, SyncFailed) for event in trace[:at])
        yield Cut(number, at, answered, at > killed, failed, disk.uncertain, broken)


def _cut_points(trace: Sequence[Event], killed: int, images: int, rng: Random) -> list[int]:
    """Chooses where to cut, a third each: anywhere, after an answer, and after a first answer since the kill."""
    answers = [at + 1 for at, event in enumerate(trace) if isinstance(event, Answered | AnsweredReturn)]
    first = [at for at in answers if at > killed][:FIRST_ANSWERS]
    return [rng.choice(rng.choice([range(len(trace) + 1), answers, first])) for _ in range(images)]
