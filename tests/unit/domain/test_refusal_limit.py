"""The number of buys that may still be refused, and the queue of those that were throttled."""

from itertools import count

import pytest

from domain import refusal_limit
from domain.errors import ProductNotFound
from domain.refusal_limit import BURST_S, MAX_WAIT_S, RefusalLimit
from domain.values import Buy, Sold
from tests.support.clock import Clock

_numbers = count()


def refuse(limit: RefusalLimit, times: int) -> None:
    """Refuses as many buys, each under a key of its own."""
    limit.finish([(Buy(f"refused {next(_numbers)}", "Unicorn", 1), ProductNotFound()) for _ in range(times)])


def test_the_room_of_a_limit_is_a_burst_that_refills(clock: Clock) -> None:
    limit = RefusalLimit(per_s=2.0, clock=clock)
    assert limit.room() == 2 * BURST_S
    refuse(limit, 2 * int(BURST_S) + 3)
    assert limit.room() == 0
    clock.now += 1.0
    assert limit.room() == 0, "the debt is paid back first"
    clock.now += 1.0
    assert limit.room() == 1
    clock.now += 10 * BURST_S
    assert limit.room() == 2 * BURST_S, "but no more than one burst"


def test_keys_do_not_fill_the_memory(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusal_limit, "MAX_KEYS", 10)
    limit = RefusalLimit(1.0, clock)
    limit.hold(f"k{number}" for number in range(100))
    assert len(limit.held()) == 10
    assert limit.room() == BURST_S - 100, "a forgotten key has spent its token"
    limit.finish([(Buy(f"k{number}", "Tux", 1), Sold(1)) for number in range(100)])
    assert limit.room() == BURST_S - 90
    limit.throttle([f"k{number}" for number in range(100)])
    assert len(limit._queue) == 10


def exhausted_limit(per_s: float, clock: Clock) -> RefusalLimit:
    """Returns a limit that has no room left."""
    limit = RefusalLimit(per_s, clock)
    refuse(limit, limit.room())
    return limit


def test_a_throttled_key_gets_a_time_with_room_that_no_other_key_has(clock: Clock) -> None:
    limit = exhausted_limit(0.5, clock)
    assert limit.throttle(["a", "b", "c"]) == [2, 4, 6]
    assert limit.throttle(["d"]) == [8]
    clock.now += 3.0
    assert limit.throttle(["d", "b", "e"]) == [5, 1, 7], "a key that comes again keeps its place"


def test_a_debt_and_held_tokens_are_waited_for(clock: Clock) -> None:
    limit = exhausted_limit(2.0, clock)
    refuse(limit, 40)
    limit.hold(["in doubt"])
    assert limit.throttle(["a"]) == [21]


def test_a_key_that_misses_its_time_goes_to_the_end_of_the_queue(clock: Clock) -> None:
    limit = exhausted_limit(1.0, clock)
    assert limit.throttle(["a", "b", "c"]) == [1, 2, 3]
    clock.now += 2.0
    refuse(limit, 2)  # others were faster
    assert limit.throttle(["a"]) == [2]


def test_obedient_shoppers_come_back_at_an_even_pace(clock: Clock) -> None:
    """Each comes back when its Retry-After says, and has its answer: two requests for each."""
    limit = exhausted_limit(4.0, clock)
    begun, keys = clock.now, [f"k{number}" for number in range(400)]
    back_at = {key: begun + wait_s for key, wait_s in zip(keys, limit.throttle(keys), strict=True)}
    for key, at in sorted(back_at.items(), key=lambda item: item[1]):
        clock.now = at
        assert limit.room() >= 1, key
        refuse(limit, 1)
    assert max(back_at.values()) == begun + 100
    assert max(list(back_at.values()).count(at) for at in back_at.values()) == 4


def test_keys_beyond_the_longest_wait_are_spread_over_it(clock: Clock) -> None:
    limit = exhausted_limit(1.0, clock)
    waits_s = limit.throttle([f"k{number}" for number in range(3_000)])
    assert max(waits_s) <= MAX_WAIT_S
    beyond = waits_s[int(MAX_WAIT_S) :]
    assert min(beyond) >= MAX_WAIT_S / 2
    assert max(beyond.count(wait_s) for wait_s in beyond) < 60, "some eight a second"
    clock.now += MAX_WAIT_S
    refuse(limit, limit.room())
    assert limit.throttle(["new"]) == [1], "and the queue is not longer for them"


def test_a_flood_under_one_key_makes_no_queue(clock: Clock) -> None:
    limit = exhausted_limit(1.0, clock)
    for _ in range(1_000):
        limit.throttle(["impatient"])
    assert limit.throttle(["patient"]) == [2]
