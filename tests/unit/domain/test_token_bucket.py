"""The token bucket behind the limits to refused buys, retries and lines of the log."""

from domain.token_bucket import TokenBucket
from tests.support.clock import Clock


def test_a_bucket_starts_full_and_fills_at_its_rate_up_to_its_capacity(clock: Clock) -> None:
    bucket = TokenBucket(2.0, 5.0, clock)
    assert [bucket.try_take() for _ in range(6)] == [True] * 5 + [False]
    clock.now += 0.5
    assert bucket.tokens() == 1.0
    clock.now += 100.0
    assert bucket.tokens() == 5.0


def test_a_refused_token_is_not_taken(clock: Clock) -> None:
    bucket = TokenBucket(1.0, 1.0, clock)
    assert bucket.try_take()
    for _ in range(10):
        clock.now += 0.09
        assert not bucket.try_take()
    clock.now += 0.11
    assert bucket.try_take()


def test_a_debt_is_paid_back_first_and_is_no_larger_than_the_capacity(clock: Clock) -> None:
    bucket = TokenBucket(1.0, 3.0, clock)
    bucket.take(4.0)
    assert bucket.tokens() == -1.0
    bucket.take(10.0)
    assert bucket.tokens() == -3.0
    clock.now += 3.0
    assert not bucket.try_take()
    clock.now += 1.0
    assert bucket.try_take()


def test_the_wait_is_the_time_until_the_tokens_are_there(clock: Clock) -> None:
    bucket = TokenBucket(0.5, 4.0, clock)
    assert bucket.wait_s() == bucket.wait_s(4.0) == 0.0
    bucket.take(4.5)
    assert bucket.wait_s() == 3.0
    assert bucket.wait_s(2.0) == 5.0
    clock.now += 1.0
    assert bucket.wait_s() == 2.0


def test_tokens_that_are_put_above_the_capacity_are_lost(clock: Clock) -> None:
    bucket = TokenBucket(1.0, 3.0, clock)
    bucket.put(1.0)
    assert bucket.tokens() == 3.0
    bucket.take(2.0)
    bucket.put(0.5)
    assert bucket.tokens() == 1.5


def test_a_bucket_that_stays_full_saves_no_tokens_for_later(clock: Clock) -> None:
    bucket = TokenBucket(1.0, 3.0, clock)
    clock.now += 60.0
    bucket.take(2.0)
    assert bucket.tokens() == 1.0
