"""The number of buys that may still be refused, and the line of those that were put off."""

from itertools import count

import pytest

from domain import refusals
from domain.refusals import BURST_S, MAX_WAIT_S, Allowance


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


_numbers = count()


def refuse(allowance: Allowance, times: int) -> None:
    """As the buys of as many other shoppers."""
    allowance.end({f"refused {next(_numbers)}": True for _ in range(times)})


def test_an_allowance_is_a_burst_that_grows_again(clock: Clock) -> None:
    allowance = Allowance(per_s=2.0, clock=clock)
    assert allowance.left() == 2 * BURST_S
    refuse(allowance, 2 * int(BURST_S) + 3)
    assert allowance.left() == 0
    clock.now += 1.0
    assert allowance.left() == 0, "what was taken too much is paid back first"
    clock.now += 1.0
    assert allowance.left() == 1
    clock.now += 10 * BURST_S
    assert allowance.left() == 2 * BURST_S, "but no more than one burst"


def test_keys_in_doubt_do_not_fill_the_memory(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "MAX_KEYS", 10)
    allowance = Allowance(1.0, clock)
    allowance.hold(f"k{number}" for number in range(100))
    assert len(allowance.held()) == 10
    assert allowance.left() == BURST_S - 100, "what is forgotten stays paid"
    allowance.end({f"k{number}": False for number in range(100)})
    assert allowance.left() == BURST_S - 90
    allowance.put_off([f"k{number}" for number in range(100)])
    assert len(allowance._line) == 10


def exhausted_allowance(per_s: float, clock: Clock) -> Allowance:
    allowance = Allowance(per_s, clock)
    refuse(allowance, allowance.left())
    return allowance


def test_who_is_put_off_is_told_when_there_is_room_and_no_two_at_once(clock: Clock) -> None:
    allowance = exhausted_allowance(0.5, clock)
    assert allowance.put_off(["a", "b", "c"]) == [2, 4, 6]
    assert allowance.put_off(["d"]) == [8]
    clock.now += 3.0
    assert allowance.put_off(["d", "b", "e"]) == [5, 1, 7], "who asks again keeps its place"


def test_a_debt_is_waited_for(clock: Clock) -> None:
    allowance = exhausted_allowance(2.0, clock)
    refuse(allowance, 40)
    allowance.hold(["in doubt"])
    assert allowance.put_off(["a"]) == [21]


def test_who_misses_its_place_goes_to_the_end_of_the_line(clock: Clock) -> None:
    allowance = exhausted_allowance(1.0, clock)
    assert allowance.put_off(["a", "b", "c"]) == [1, 2, 3]
    clock.now += 2.0
    refuse(allowance, 2)  # others were faster
    assert allowance.put_off(["a"]) == [2]


def test_obedient_shoppers_do_not_storm(clock: Clock) -> None:
    """Each comes back when it was told to, and has its answer: two requests for each, at an even pace."""
    allowance = exhausted_allowance(4.0, clock)
    begun, keys = clock.now, [f"k{number}" for number in range(400)]
    back_at = {key: begun + wait_s for key, wait_s in zip(keys, allowance.put_off(keys), strict=True)}
    for key, at in sorted(back_at.items(), key=lambda item: item[1]):
        clock.now = at
        assert allowance.left() >= 1, key
        refuse(allowance, 1)
    assert max(back_at.values()) == begun + 100
    assert max(list(back_at.values()).count(at) for at in back_at.values()) == 4


def test_a_line_without_end_is_spread_over_the_longest_wait(clock: Clock) -> None:
    allowance = exhausted_allowance(1.0, clock)
    waits = allowance.put_off([f"k{number}" for number in range(3_000)])
    assert max(waits) <= MAX_WAIT_S
    beyond = waits[int(MAX_WAIT_S) :]
    assert min(beyond) >= MAX_WAIT_S / 2
    assert max(beyond.count(wait_s) for wait_s in beyond) < 60, "some eight a second"
    clock.now += MAX_WAIT_S
    refuse(allowance, allowance.left())
    assert allowance.put_off(["new"]) == [1], "and the line is not longer for them"


def test_a_flood_under_one_key_makes_no_line(clock: Clock) -> None:
    allowance = exhausted_allowance(1.0, clock)
    for _ in range(1_000):
        allowance.put_off(["impatient"])
    assert allowance.put_off(["patient"]) == [2]
