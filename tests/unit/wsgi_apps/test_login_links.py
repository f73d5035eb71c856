"""The links that log the owner in: once, within an hour, and not after a restart."""

import pytest

from tests.support.at_once import at_once
from tests.support.clock import Clock
from wsgi_apps.login_links import LIFETIME_S, LoginLinks, new_login_token

SECRET, OTHER = "secret--" * 4, "other---" * 4


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def links(clock: Clock) -> LoginLinks:
    return LoginLinks([SECRET], clock)


def test_a_link_logs_in_once(links: LoginLinks, clock: Clock) -> None:
    tokens = [new_login_token(SECRET, clock) for _ in range(3)]
    assert [links.redeem(token) for token in tokens] == [True] * 3
    assert [links.redeem(token) for token in tokens] == [False] * 3


def test_of_many_uses_at_the_same_moment_one_logs_in(links: LoginLinks, clock: Clock) -> None:
    token = new_login_token(SECRET, clock)
    assert sorted(at_once(lambda _: links.redeem(token), 16)) == [False] * 15 + [True]


def test_a_link_logs_in_for_an_hour(links: LoginLinks, clock: Clock) -> None:
    tokens = [new_login_token(SECRET, clock) for _ in range(2)]
    clock.now += LIFETIME_S - 1
    assert links.redeem(tokens[0])
    clock.now += 1
    assert not links.redeem(tokens[1])


def test_a_restart_replays_no_link(clock: Clock) -> None:
    before, token = LoginLinks([SECRET], clock), new_login_token(SECRET, clock)
    assert before.redeem(token)
    clock.now += 0.01
    again = LoginLinks([SECRET], clock)
    assert not again.redeem(token)
    assert again.redeem(new_login_token(SECRET, clock))


def test_a_link_from_the_future_is_refused(links: LoginLinks, clock: Clock) -> None:
    clock.now += 3_600
    token = new_login_token(SECRET, clock)
    clock.now -= 3_600
    assert not links.redeem(token)


def test_only_the_secret_makes_links(clock: Clock) -> None:
    links = LoginLinks([SECRET], clock)
    token = new_login_token(SECRET, clock)
    value, signature = token.rsplit(".", 1)
    later = format(int(value.partition("-")[0], 16) + 1, "x")
    forged = ["", ".", value, f"{value}.", f"{later}-x.{signature}", f"{token}x", token[:-2], "\xe9.x", "x" * 5_000]
    for wrong in (*forged, new_login_token(OTHER, clock)):
        assert not links.redeem(wrong)
    assert links.redeem(token), "wrong ones use up nothing"


def test_during_a_rotation_links_of_both_secrets_log_in(clock: Clock) -> None:
    links = LoginLinks([OTHER, SECRET], clock)
    assert links.redeem(new_login_token(SECRET, clock)) and links.redeem(new_login_token(OTHER, clock))


def test_only_used_links_that_have_not_expired_are_kept(links: LoginLinks, clock: Clock) -> None:
    assert links.redeem(new_login_token(SECRET, clock))
    clock.now += LIFETIME_S
    assert links.redeem(new_login_token(SECRET, clock))
    assert len(links._used) == 1
