"""Power cuts: one image of both databases for each, and what a store that starts on it says."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from tests.faults.local_store import memory_folder
from tests.faults.power.power_loss import Disk
from tests.faults.power.trace import Answered, Event, Killed, SyncFailed
from tests.faults.power.verdict import broken_promise
from tests.faults.power.workload import three_days, write_image

# Then a new trace is recorded. With failing syncs it matters more what was recorded than where it is cut.
IMAGES_A_TRACE = 250
IMAGES_A_FAILING_TRACE = 40
# Answers right after the kill may repeat what the killed had written and not synced.
FIRST_ANSWERS = 12


@dataclass(frozen=True, slots=True)
class Cut:
    """One power loss. `at` is the event before which the power went; `broken` is the promise that did not hold."""

    trace: int
    at: int
    answered: int
    after_kill: bool
    failed_syncs: int
    uncertain: bool
    broken: str | None


def cut_power(images: int, seed: int, synchronous: str | None = None, failing_syncs: float = 0.0) -> Iterator[Cut]:
    """So many cuts, spread over as many traces as it takes. See `three_days` for the rest."""
    images_a_trace = IMAGES_A_FAILING_TRACE if failing_syncs else IMAGES_A_TRACE
    for trace_number, first in enumerate(range(0, images, images_a_trace)):
        chance = Random(f"{seed}-{trace_number}")
        with memory_folder() as folder:
            trace = three_days(folder, chance, synchronous, failing_syncs)
        yield from _cut(trace, trace_number, min(images_a_trace, images - first), chance)


def _cut(trace: Sequence[Event], number: int, images: int, chance: Random) -> Iterator[Cut]:
    killed = trace.index(Killed())
    disk = Disk(rng=chance)
    for at in sorted(_moments(trace, killed, images, chance)):
        disk.follow(trace, at)
        # The extremes weigh as much as all between: nothing that was not synced has survived, or everything has.
        survival = chance.choice([0.0, 1.0, chance.random()])
        with memory_folder() as folder:
            write_image(folder / "data", disk.after_power_loss(chance, survival))
            broken = broken_promise(folder / "data", trace[:at])
        answered = sum(isinstance(event, Answered) for event in trace[:at])
        failed = sum(isinstance(event, SyncFailed) for event in trace[:at])
        yield Cut(number, at, answered, at > killed, failed, disk.uncertain, broken)


def _moments(trace: Sequence[Event], killed: int, images: int, chance: Random) -> list[int]:
    """Of three kinds alike: any, right after an answer, and right after one of the first answers behind the kill."""
    answers = [at + 1 for at, event in enumerate(trace) if isinstance(event, Answered)]
    first = [at for at in answers if at > killed][:FIRST_ANSWERS]
    return [chance.choice(chance.choice([range(len(trace) + 1), answers, first])) for _ in range(images)]
