"""Batches that fail are asked again in halves, so that whatever the other side cannot answer fails alone."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from domain.deadlines import remaining_time
from domain.errors import Unavailable

Q = TypeVar("Q")
A = TypeVar("A")

# To find one among 112 takes 8 failures in a row. When more follow each other, all fail, and not for one's sake.
MAX_FAILURES_IN_A_ROW = 10


@dataclass(frozen=True, slots=True)
class Failed:
    """Stands in the place of an answer: this question fails when it is asked alone."""

    error: Exception


def isolated(
    call: Callable[[Sequence[Q]], Sequence[A]], questions: Sequence[Q], most: int
) -> Iterator[tuple[Q, A | Failed]]:
    """Each question with its answer, in their order. At most `most` of them go in one call.

    Raises what `call` raises when the fault is not in the questions: the error says so by its `retry_after_s`, or
    too many calls fail one after the other. What was answered before has been yielded.
    """
    todo = [questions[start : start + most] for start in range(0, len(questions), most)][::-1]
    failures = 0
    while todo:
        batch = todo.pop()
        try:
            answers = call(batch)
        except Exception as error:
            failures += 1
            if concerns_all(error) or failures > MAX_FAILURES_IN_A_ROW:
                raise
            if len(batch) == 1:
                yield batch[0], Failed(error)
            else:
                half = len(batch) // 2
                todo += [batch[half:], batch[:half]]
        else:
            failures = 0
            yield from zip(batch, answers, strict=True)


def answer_each(
    call: Callable[[Sequence[Q], float | None], Sequence[A]], questions: Sequence[Q], most: int, timeout_s: float | None
) -> list[A | Unavailable]:
    """An answer for each question, in their order; Unavailable for those that the other side cannot answer.

    `call` gets the seconds that are left of `timeout_s`. Raises Unavailable when there is no answer at all, and at once
    whatever else `call` raises: a defect must not look like a tier that is away.
    """
    begun = time.monotonic()
    if len(questions) <= most:  # as a rule all of them are answered, and nothing has to be taken apart
        try:
            return list(call(questions, timeout_s)) if questions else []
        except Unavailable as error:
            if len(questions) == 1 or concerns_all(error):
                raise
        most = len(questions) // 2

    def ask(batch: Sequence[Q]) -> Sequence[A]:
        return call(batch, remaining_time(timeout_s, begun))

    answers: list[A | Unavailable] = []
    has_answer = False
    trouble = Unavailable()
    try:
        for _question, answer in isolated(ask, questions, most):
            if not isinstance(answer, Failed):
                answers.append(answer)
                has_answer = True
            elif isinstance(answer.error, Unavailable):
                answers.append(answer.error)
                trouble = answer.error
            else:
                raise answer.error
    except Unavailable as error:  # from here on there is none
        trouble = error
    if not has_answer:
        raise trouble
    return [*answers, *[trouble] * (len(questions) - len(answers))]


def concerns_all(error: Exception) -> bool:
    """Whether other questions would fail now as well."""
    return isinstance(error, Unavailable) and error.retry_after_s is not None
