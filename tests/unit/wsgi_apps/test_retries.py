"""Retries: the pauses before them, their budget, and Retry-After."""

import email.utils
import time
from itertools import accumulate

import pytest

from wsgi_apps.retries import LONGEST_RETRY_AFTER_S, RetryBudget, backoff_s, parse_retry_after


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_the_pauses_of_a_call_grow_and_differ_from_those_of_another() -> None:
    one, other = ([backoff_s(retry) for retry in range(12)] for _ in range(2))
    assert one != other
    assert all(0 < pause_s <= 2.5 for pause_s in one)
    assert max(one[:2]) < min(one[-3:])
    assert 0 < backoff_s(10_000) <= 2.5


def test_a_tier_that_does_not_answer_is_called_at_most_ten_times_in_6_s() -> None:
    for _ in range(200):
        at = list(accumulate(backoff_s(retry) for retry in range(20)))
        assert 1 + sum(second < 6.0 for second in at) <= 10


def test_a_tier_that_restarts_is_called_within_half_a_second() -> None:
    assert max(backoff_s(retry, is_refused=True) for retry in range(20)) <= 0.5


def test_a_budget_without_calls_has_a_burst_and_then_a_floor() -> None:
    budget = RetryBudget(share=0.1, floor_per_s=2.0, capacity=5.0, clock=Clock())
    assert [budget.withdraw(timeout_s=0.0) for _ in range(5)] == [0.0] * 5
    assert budget.withdraw(timeout_s=0.4) is None, "the next token is half a second away"
    assert budget.withdraw(timeout_s=0.6) == 0.5
    assert budget.withdraw(timeout_s=2.0) == 1.0, "the first token of the floor is already taken"


def test_ten_calls_pay_for_one_retry_and_savings_are_bounded() -> None:
    clock = Clock()
    budget = RetryBudget(share=0.1, floor_per_s=0.001, capacity=5.0, clock=clock)
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
    assert retries == 5, "a budget saves at most five tokens"


def test_a_budget_refills_at_its_floor_rate() -> None:
    clock = Clock()
    budget = RetryBudget(share=0.1, floor_per_s=1.0, capacity=3.0, clock=clock)
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
def test_a_retry_after_is_seconds_a_date_or_invalid(text: str | None, seconds: int | None) -> None:
    assert parse_retry_after(text) == seconds


def test_a_date_becomes_the_seconds_until_then() -> None:
    seconds = parse_retry_after(email.utils.formatdate(time.time() + 100, usegmt=True))
    assert seconds is not None
    assert 80 <= seconds <= 101
