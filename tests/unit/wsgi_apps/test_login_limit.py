"""Wrong secrets slow down whoever sends them."""

import pytest

from domain.errors import TooManyLogins
from tests.support.at_once import at_once
from tests.support.clock import Clock
from wsgi_apps.login_limit import GUESSES, GUESSES_OF_ALL, GUESSES_PER_S, MAX_ADDRESSES, LoginLimit

OWNER, GUESSER = "192.0.2.1", "192.0.2.2"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limit(clock: Clock) -> LoginLimit:
    return LoginLimit(clock)


def guess(limit: LoginLimit, address: str = GUESSER) -> bool:
    """Sends a wrong secret. Returns whether it was looked at."""
    try:
        assert not limit.attempt(address, lambda: False)
    except TooManyLogins:
        return False
    return True


def test_after_five_wrong_secrets_none_is_looked_at_for_a_while(limit: LoginLimit, clock: Clock) -> None:
    assert [guess(limit) for _ in range(6)] == [True] * 5 + [False]
    looked_at: list[str] = []

    def look() -> bool:
        looked_at.append("the right secret")
        return True

    with pytest.raises(TooManyLogins) as caught:
        limit.attempt(GUESSER, look)
    assert (looked_at, caught.value.retry_after_s) == ([], 1 / GUESSES_PER_S)
    clock.now += 1 / GUESSES_PER_S
    assert limit.attempt(GUESSER, lambda: True)


def test_a_throttled_try_costs_nothing(limit: LoginLimit, clock: Clock) -> None:
    for _ in range(GUESSES + 20):
        guess(limit)
    clock.now += 1 / GUESSES_PER_S
    assert [guess(limit), guess(limit)] == [True, False]


def test_a_right_secret_forgives_the_wrong_ones(limit: LoginLimit) -> None:
    for _ in range(3):
        assert [guess(limit) for _ in range(GUESSES - 1)] == [True] * (GUESSES - 1)
        assert limit.attempt(GUESSER, lambda: True)
    for _ in range(200):
        assert limit.attempt(OWNER, lambda: True), "right ones cost nothing"


def test_guesses_of_one_address_slow_no_other_one_down(limit: LoginLimit) -> None:
    while guess(limit):
        pass
    assert limit.attempt(OWNER, lambda: True)


def test_many_addresses_together_have_a_limit_too(limit: LoginLimit, clock: Clock) -> None:
    guesses = [guess(limit, f"198.51.100.{number}") for number in range(GUESSES_OF_ALL + 10)]
    assert guesses == [True] * GUESSES_OF_ALL + [False] * 10
    with pytest.raises(TooManyLogins) as caught:
        limit.attempt(OWNER, lambda: True)
    assert caught.value.retry_after_s == 3
    clock.now += 3
    assert limit.attempt(OWNER, lambda: True)


def test_guesses_at_the_same_moment_are_all_counted(limit: LoginLimit) -> None:
    assert sum(at_once(lambda _: guess(limit), 32)) == GUESSES


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2001:db8::1", "2001:db8::ffff:2"),
        ("::ffff:192.0.2.2", "192.0.2.2"),
        ("fe80::1%eth0", "fe80::2%eth1"),
        ("", ""),
    ],
)
def test_addresses_that_one_client_may_have_count_as_one(limit: LoginLimit, one: str, other: str) -> None:
    for _ in range(GUESSES):
        guess(limit, one)
    assert not guess(limit, other)
    assert guess(limit, "2001:db9::1")


def test_only_the_addresses_that_guessed_last_are_kept(limit: LoginLimit, clock: Clock) -> None:
    for number in range(MAX_ADDRESSES + 100):
        clock.now += 10
        guess(limit, f"10.0.{number // 256}.{number % 256}")
    assert len(limit._of_address) == MAX_ADDRESSES
