"""The sessions of the desk: who can make a cookie, how long it is good for, and the token of its forms."""

import pytest

from tests.support.clock import Clock
from wsgi_apps.sessions import CLOCK_STEP_S, LIFETIME_S, Session, Sessions

SECRET, OTHER = "secret--" * 4, "other---" * 4


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(clock: Clock) -> Sessions:
    return Sessions([SECRET], clock)


def found(sessions: Sessions, cookie: str) -> Session:
    session = sessions.find(cookie)
    assert session is not None
    return session


def test_a_session_is_found_by_its_cookie_until_its_lifetime_is_over(sessions: Sessions, clock: Clock) -> None:
    cookie = sessions.open()
    clock.now += LIFETIME_S - 1
    assert sessions.find(cookie)
    clock.now += 1
    assert sessions.find(cookie) is None


def test_a_session_from_the_future_is_none(sessions: Sessions, clock: Clock) -> None:
    """Otherwise a clock that was set back would lengthen it."""
    cookie = sessions.open()
    clock.now -= CLOCK_STEP_S
    assert sessions.find(cookie)
    clock.now -= 1
    assert sessions.find(cookie) is None


def test_every_login_is_a_session_of_its_own(sessions: Sessions) -> None:
    one, other = (found(sessions, sessions.open()) for _ in range(2))
    assert one.id != other.id and one.form_token != other.form_token


def test_nobody_makes_a_cookie_without_the_secret(sessions: Sessions, clock: Clock) -> None:
    cookie = sessions.open()
    payload, signature = cookie.split(".")
    for forged in ("", ".", payload, f"{payload}.", f"{payload}.{signature[:-2]}", f"{payload}x.{signature}", "\xe9.x"):
        assert sessions.find(forged) is None
    assert sessions.find(Sessions([OTHER], clock).open()) is None


def test_no_cookie_and_no_token_shows_the_secret(sessions: Sessions) -> None:
    cookie = sessions.open()
    assert SECRET not in cookie + found(sessions, cookie).form_token


def test_another_secret_ends_all_sessions_and_a_rotation_keeps_them(sessions: Sessions, clock: Clock) -> None:
    cookie = sessions.open()
    token = found(sessions, cookie).form_token
    rotating = Sessions([OTHER, SECRET], clock)
    assert rotating.is_token_of(found(rotating, cookie), token)
    assert Sessions([OTHER], clock).find(cookie) is None
    assert Sessions([OTHER], clock).find(rotating.open()), "the first value signs"


def test_an_ended_session_is_not_found_by_a_copy_of_its_cookie_either(sessions: Sessions) -> None:
    cookie, other = sessions.open(), sessions.open()
    sessions.end(found(sessions, cookie))
    assert sessions.find(cookie) is None
    assert sessions.find(other)


def test_only_the_ends_of_sessions_that_have_not_expired_are_kept(sessions: Sessions, clock: Clock) -> None:
    first = sessions.open()
    sessions.end(found(sessions, first))
    clock.now += LIFETIME_S
    second = sessions.open()
    sessions.end(found(sessions, second))
    assert len(sessions._ended) == 1
    assert sessions.find(first) is None and sessions.find(second) is None


def test_only_the_token_of_the_session_fits_its_forms(sessions: Sessions, clock: Clock) -> None:
    one, other = (found(sessions, sessions.open()) for _ in range(2))
    assert sessions.is_token_of(one, one.form_token)
    for wrong in ("", "x", one.id, other.form_token, one.form_token[:-1], one.form_token + "x", "\xe9"):
        assert not sessions.is_token_of(one, wrong)
    assert not Sessions([OTHER], clock).is_token_of(one, one.form_token)
