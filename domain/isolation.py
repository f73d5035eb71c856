"""Splits a batch that fails into halves until only the questions that cannot be answered fail, each alone."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from domain.deadlines import Deadline
from domain.errors import Unavailable

Q = TypeVar("Q")
A = TypeVar("A")

# One bad question in a batch of 112 makes at most 8 calls in a row fail. After more than 10 failures in a row, no
# question can be answered now.
MAX_FAILURES_IN_A_ROW = 10


@dataclass(frozen=True, slots=True)
class Failed:
    """Stands in the place of an answer to a question that fails when it is asked alone."""

    error: Exception


def isolated(
    call: Callable[[Sequence[Q]], Sequence[A]], questions: Sequence[Q], max_batch_size: int
) -> Iterator[tuple[Q, A | Failed]]:
    """Yields each question with its answer, in their order. At most `max_batch_size` questions go in one call.

    Raises the error of `call` when other questions would fail as well: the error says so by its `retry_after_s`, or
    too many calls in a row fail. Earlier answers have been yielded by then.
    """
    batches = [questions[start : start + max_batch_size] for start in range(0, len(questions), max_batch_size)]
    batches.reverse()  # a stack: the next batch is the last element
    failures = 0
    while batches:
        batch = batches.pop()
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
                batches += [batch[half:], batch[:half]]
        else:
            failures = 0
            yield from zip(batch, answers, strict=True)


def answer_each(
    call: Callable[[Sequence[Q], float | None], Sequence[A]],
    questions: Sequence[Q],
    max_batch_size: int,
    timeout_s: float | None,
) -> list[A | Unavailable]:
    """Returns an answer for each question, in their order; Unavailable for each that cannot be answered.

    `call` gets the seconds that are left of `timeout_s`. Raises Unavailable when no question has an answer. Raises any
    other error of `call` at once: a defect must not look like a tier that is away.
    """
    deadline = Deadline(timeout_s)
    if len(questions) <= max_batch_size:  # the usual case, in which one call answers all
        try:
            return list(call(questions, timeout_s)) if questions else []
        except Unavailable as error:
            if len(questions) == 1 or concerns_all(error):
                raise
        max_batch_size = len(questions) // 2  # go on with the halves, because the whole has just failed
    answers: list[A | Unavailable] = []
    has_answer = False
    last_error = Unavailable()
    try:
        for _, answer in isolated(lambda batch: call(batch, deadline.remaining_s()), questions, max_batch_size):
            if not isinstance(answer, Failed):
                answers.append(answer)
                has_answer = True
            elif isinstance(answer.error, Unavailable):
                answers.append(answer.error)
                last_error = answer.error
            else:
                raise answer.error
    except Unavailable as error:  # the remaining questions would fail as well
        last_error = error
    if not has_answer:
        raise last_error
    return [*answers, *[last_error] * (len(questions) - len(answers))]


def settle_each(settle: Callable[[Sequence[Q]], Sequence[object]], questions: Sequence[Q], max_batch_size: int) -> None:
    """Settles each question; one that cannot be answered does not keep the others unsettled.

    Raises the last error, or Unavailable among the answers, when some are not settled.
    """
    last_error: Exception | None = None
    for _, outcome in isolated(settle, questions, max_batch_size):
        if isinstance(outcome, Failed):
            last_error = outcome.error
        elif isinstance(outcome, Unavailable):
            last_error = outcome
    if last_error is not None:
        raise last_error


def concerns_all(error: Exception) -> bool:
    """Returns whether other questions would fail now as well."""
    return isinstance(error, Unavailable) and error.retry_after_s is not None
