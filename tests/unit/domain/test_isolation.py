"""Batches that fail because of single questions, and are asked again in halves."""

from collections.abc import Sequence
from types import SimpleNamespace

import pytest

from domain import deadlines
from domain.errors import Unavailable
from domain.isolation import MAX_FAILURES_IN_A_ROW, Failed, answer_each, isolated
from tests.support.clock import Clock


class Tier:
    """Doubles numbers, and fails each call that contains a number of `poison`. `calls` are its batches."""

    def __init__(self, *poison: int, error: Exception | None = None) -> None:
        self._poison = poison
        self._error = error or Unavailable()
        self.calls: list[list[int]] = []

    def __call__(self, questions: Sequence[int], timeout_s: float | None = None) -> list[int]:
        self.calls.append(list(questions))
        if set(self._poison) & set(questions):
            raise self._error
        return [2 * question for question in questions]


@pytest.mark.parametrize("poison", [(0,), (111,), (55, 56), (3, 40, 41, 99), ()])
@pytest.mark.parametrize("error", [Unavailable(), ZeroDivisionError()])
def test_only_questions_that_cannot_be_answered_fail(poison: tuple[int, ...], error: Exception) -> None:
    tier = Tier(*poison, error=error)
    answers = list(isolated(tier, range(112), max_batch_size=112))
    assert answers == [(n, Failed(error) if n in poison else 2 * n) for n in range(112)]
    assert len(tier.calls) <= 1 + 14 * len(poison), "two for each halving"


def test_a_call_has_no_more_questions_than_its_largest_batch() -> None:
    tier = Tier()
    assert [answer for _, answer in isolated(tier, range(10), max_batch_size=4)] == [2 * n for n in range(10)]
    assert tier.calls == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_a_tier_that_sends_a_retry_after_is_not_asked_again() -> None:
    tier = Tier(*range(112), error=Unavailable(retry_after_s=1))
    with pytest.raises(Unavailable):
        list(isolated(tier, range(112), max_batch_size=112))
    assert len(tier.calls) == 1


def test_a_tier_that_answers_no_call_is_not_asked_for_every_question() -> None:
    tier = Tier(*range(112))
    with pytest.raises(Unavailable):
        list(isolated(tier, range(112), max_batch_size=112))
    assert len(tier.calls) == MAX_FAILURES_IN_A_ROW + 1


def test_a_missing_answer_becomes_unavailable() -> None:
    assert answer_each(Tier(2), range(4), 112, None) == [0, 2, Unavailable(), 6]
    assert answer_each(Tier(), [], 112, None) == []
    with pytest.raises(Unavailable):
        answer_each(Tier(2), [2], 112, None)


def test_a_bug_in_a_call_is_raised_and_is_not_unavailable() -> None:
    with pytest.raises(ZeroDivisionError):
        answer_each(Tier(2, error=ZeroDivisionError()), range(4), 112, None)


def test_answers_from_before_a_tier_went_away_are_kept() -> None:
    calls = []

    def goes_away(questions: Sequence[int], _timeout_s: float | None) -> Sequence[int]:
        calls.append(questions)
        if len(calls) == 1:
            raise Unavailable
        if len(calls) == 2:
            return questions
        raise Unavailable(retry_after_s=1)

    assert answer_each(goes_away, range(4), 112, None) == [0, 1, Unavailable(), Unavailable()]


def test_the_halves_of_a_batch_share_its_timeout(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    monkeypatch.setattr(deadlines, "time", SimpleNamespace(monotonic=clock))
    remaining_s: list[float] = []

    def slow(questions: Sequence[int], timeout_s: float | None) -> Sequence[int]:
        assert timeout_s is not None
        remaining_s.append(round(timeout_s, 3))
        clock.now += 0.3
        if 63 in questions:
            raise Unavailable
        return questions

    assert answer_each(slow, range(64), 112, 1.0) == [*range(48), *[Unavailable()] * 16], "there was no time for these"
    assert remaining_s == [1.0, 0.7, 0.4, 0.1]
