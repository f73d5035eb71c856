"""Asking what is known of a key, then buying: each way to fail ends the attempt, and none is taken for an answer."""

from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

import pytest

from domain.errors import Unavailable
from domain.values import Buy, KnownBuy
from wsgi_apps.pages.shop.attempts import Attempt, Attempts

BUY = Buy("k", "Tux", 1)
KNOWN = KnownBuy(BUY, None)


class Answers:
    """Answers each question with `answer`, or with an error: at once, or in the future."""

    def __init__(self, answer: object, *, is_late: bool = False) -> None:
        self._answer = answer
        self._is_late = is_late
        self.asked: list[object] = []

    def ask(self, questions: Sequence[object]) -> "Future[Any]":
        self.asked += questions
        future: Future[Any] = Future()
        if not isinstance(self._answer, Exception):
            future.set_result([self._answer])
        elif self._is_late:
            future.set_exception(self._answer)
        else:
            raise self._answer
        return future


def test_a_buy_follows_where_it_is_chosen() -> None:
    buys = Answers(7)
    attempts = Attempts(Answers(KNOWN), buys)
    assert attempts.ask("k", lambda _known: None).result() == Attempt(KNOWN, None)
    assert buys.asked == []
    assert attempts.ask("k", lambda known: known.buy if known else None).result() == Attempt(KNOWN, 7)
    assert buys.asked == [BUY]


@pytest.mark.parametrize("is_late", [False, True])
@pytest.mark.parametrize("failing", ["the look-up", "the buy"])
def test_no_answer_is_an_attempt_without_an_answer(failing: str, is_late: bool) -> None:
    away = Answers(Unavailable(), is_late=is_late)
    known, buys = (away, Answers(7)) if failing == "the look-up" else (Answers(None), away)
    assert Attempts(known, buys).ask("k", lambda _known: BUY).result() == Attempt(None, Unavailable())


def test_a_bug_ends_the_attempt() -> None:
    attempt = Attempts(Answers(RuntimeError("a bug"), is_late=True), Answers(7)).ask("k", lambda _known: BUY)
    with pytest.raises(RuntimeError):
        attempt.result()
