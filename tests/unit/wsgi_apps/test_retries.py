"""When another tier is asked again."""

import email.utils
import time
from itertools import accumulate

import pytest

from wsgi_apps.retries import LONGEST_RETRY_AFTER_S, RetryBudget, backoff_s, parse_retry_after


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_the_pauses_of_a_call_grow_and_no_two_calls_have_the_same() -> None:
    one, other = ([backoff_s(retry) for retry in range(12)] for _ in range(2))
    assert one != other
    assert all(0 < pause_s <= 2.5 for pause_s in one)
    assert max(one[:2]) < min(one[-3:])
    assert 0 < backoff_s(10_000) <= 2.5


def test_in_six_seconds_a_tier_without_an_answer_is_asked_ten_times_at_most() -> None:
    for _ in range(200):
        at = list(accumulate(backoff_s(retry) for retry in range(20)))
        assert 1 + sum(second < 6.0 for second in at) <= 10


def test_whoever_restarts_is_not_missed_for_long() -> None:
    assert max(backoff_s(retry, is_refused=True) for retry in range(20)) <= 0.5


def test_without_calls_a_budget_has_a_burst_and_then_a_floor() -> None:
    budget = RetryBudget(share=0.1, floor_per_s=2.0, most=5.0, clock=Clock())
    assert [budget.withdraw(timeout_s=0.0) for _ in range(5)] == [0.0] * 5
    assert budget.withdraw(timeout_s=0.4) is None, "the next token is half a second away"
    assert budget.withdraw(timeout_s=0.6) == 0.5
    assert budget.withdraw(timeout_s=2.0) == 1.0, "the first of the floor was promised already"


def test_calls_pay_for_a_small_share_of_retries() -> None:
    clock = Clock()
    budget = RetryBudget(share=0.1, floor_per_s=0.001, most=5.0, clock=clock)
    while budget.withdraw(timeout_s=0.0) is not None:
        pass
    for _ in range(20):
        budget.deposit()
    assert [budget.withdraw(timeout_s=0.0) is None for _ in range(3)] == [False, False, True]
    for _ in range(1_000):
        budget.deposit()
    retries = 0
    while budget.withdraw(timeout_s=0.0) is not None:
        retries += 1
    assert retries == 5, "what is not needed is not saved up for ever"


def test_a_budget_grows_again_by_its_floor() -> None:
    clock = Clock()
    budget = RetryBudget(share=0.1, floor_per_s=1.0, most=3.0, clock=clock)
    for _ in range(3):
        budget.withdraw(timeout_s=0.0)
    clock.now += 2.0
    assert [budget.withdraw(timeout_s=0.0) for _ in range(3)] == [0.0, 0.0, None]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("0", 0),
        (" 7 ", 7),
        ("9" * 5_000, LONGEST_RETRY_AFTER_S),
        ("86400", LONGEST_RETRY_AFTER_S),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 0),
        ("Fri, 31 Dec 2199 23:59:59 GMT", LONGEST_RETRY_AFTER_S),
        ("Fri, 99 Dec 2199 99:59:59 GMT", None),
        ("Fri, 31 Dec 99999999999999999999 23:59:59 GMT", None),
    ],
)
def test_a_retry_after_is_seconds_or_a_date_or_nothing(text: str | None, seconds: int | None) -> None:
    assert parse_retry_after(text) == seconds


def test_a_date_is_how_long_it_is_away() -> None:
    seconds = parse_retry_after(email.utils.formatdate(time.time() + 100, usegmt=True))
    assert seconds is not None
    assert 80 <= seconds <= 101
