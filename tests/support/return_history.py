"""Records each request of an owner to give an order back, and checks that a correct store could have answered so.

tests/support/history.py does the same for buys, and calls these checks.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf

from domain.errors import OrderNotFound
from domain.returns import Returned
from tests.support.books import Books


@dataclass(frozen=True, slots=True)
class ReturnAttempt:
    """One request to give back. `quantity` None asks for all pieces that are left.

    `answer` is the logged return or the reason of a refusal; None when the request must be repeated.
    """

    key: str
    number: int  # of the order
    quantity: int | None
    begun_s: float
    ended_s: float
    answer: Returned | str | None


@dataclass(frozen=True, slots=True)
class MergedReturn:
    """All attempts under one key. `answered_s` is the time of the first answer."""

    key: str
    number: int
    quantity: int | None
    begun_s: float
    answered_s: float | None
    answers: frozenset[Returned | str]

    @property
    def refusals(self) -> list[str]:
        return sorted(answer for answer in self.answers if isinstance(answer, str))


@dataclass(frozen=True, slots=True)
class _Logged:
    """A return in the log. `returned` counts the pieces of its order that were given back up to it."""

    number: int
    quantity: int
    returned: int


def merged_returns(attempts: Sequence[ReturnAttempt]) -> dict[str, MergedReturn]:
    """Returns the returns by key, each merged from its attempts."""
    by_key: dict[str, list[ReturnAttempt]] = defaultdict(list)
    for attempt in list(attempts):
        by_key[attempt.key].append(attempt)
    return {key: _merge(attempts_of_key) for key, attempts_of_key in by_key.items()}


def return_violations(
    returns: Mapping[str, MergedReturn], ordered_s: Mapping[int, float], books: Books
) -> Iterator[str]:
    """Yields a line for each answer or logged return that a correct store could not have made.

    `ordered_s` has the time at which each order was answered, by its number.
    """
    logged = _logged(books)
    yield from _answers_match_log(returns, logged)
    yield from _entries_in_time_order(returns, logged)
    yield from _refusals(returns, ordered_s, books)


def _merge(attempts: list[ReturnAttempt]) -> MergedReturn:
    """Merges the attempts under one key. Asserts that all ask for the same."""
    first = attempts[0]
    assert all((one.number, one.quantity) == (first.number, first.quantity) for one in attempts), first.key
    return MergedReturn(
        first.key,
        first.number,
        first.quantity,
        begun_s=min(attempt.begun_s for attempt in attempts),
        answered_s=min((attempt.ended_s for attempt in attempts if attempt.answer is not None), default=None),
        answers=frozenset(attempt.answer for attempt in attempts if attempt.answer is not None),
    )


def _logged(books: Books) -> dict[str, _Logged]:
    """Returns the logged returns by key, in the order of their entries."""
    logged: dict[str, _Logged] = {}
    returned: dict[int, int] = defaultdict(int)
    for key, number, quantity in books.returns:
        returned[number] += quantity
        logged[key] = _Logged(number, quantity, returned[number])
    return logged


def _answers_match_log(returns: Mapping[str, MergedReturn], logged: Mapping[str, _Logged]) -> Iterator[str]:
    """Checks I5: all answers to a key are the log's, and the log has no unknown return.

    A refusal is not logged. A repeated one may have other words, when fewer pieces are left by then.
    """
    for key, one in returns.items():
        entry = logged.get(key)
        if len(one.answers) - len(one.refusals) > 1:
            yield f"{key} was told {sorted(map(str, one.answers))}"
        for answer in one.answers:
            told = _Logged(answer.number, answer.quantity, answer.returned) if isinstance(answer, Returned) else None
            if told != entry:
                yield f"{key} was told {answer}, the log says {entry}"
        if entry is not None and (one.number, one.quantity or entry.quantity) != (entry.number, entry.quantity):
            yield f"{key} asked for {one.quantity} of order {one.number}, the log says {entry}"
    for key in logged.keys() - returns.keys():
        yield f"{key} is in the log of returns, and nobody asked for it"


def _entries_in_time_order(returns: Mapping[str, MergedReturn], logged: Mapping[str, _Logged]) -> Iterator[str]:
    """Checks I4: a return that was answered before another one began has the earlier entry."""
    latest: MergedReturn | None = None  # began last of the returns with an earlier entry
    for key in logged:
        one = returns.get(key)
        if one is None:
            continue
        if latest is not None and one.answered_s is not None and one.answered_s < latest.begun_s:
            yield f"the return {key} was answered before {latest.key} began, which has an earlier entry"
        if latest is None or one.begun_s > latest.begun_s:
            latest = one


def _refusals(returns: Mapping[str, MergedReturn], ordered_s: Mapping[int, float], books: Books) -> Iterator[str]:
    """Checks I5: a refusal came when the order could have had too few pieces left, or could have been unknown.

    The fewest possible pieces are those bought, less all returns in the log that had begun when the answer came.
    """
    bought = {number: quantity for number, _, _, quantity in books.orders}
    taken: dict[int, list[tuple[float, int]]] = defaultdict(list)
    for key, number, quantity in books.returns:
        taken[number].append((returns[key].begun_s if key in returns else -inf, quantity))
    for one in returns.values():
        if not one.refusals:
            continue
        assert one.answered_s is not None
        if one.refusals == [OrderNotFound.message]:
            if ordered_s.get(one.number, inf) < one.begun_s:
                yield f"{one.key} was told 'order not found' of order {one.number}, which had been answered"
            continue
        begun = sorted(taken[one.number])
        left = bought.get(one.number, 0) - sum(
            pieces for _, pieces in begun[: bisect_right(begun, (one.answered_s, inf))]
        )
        if left >= (one.quantity or 1):
            yield f"{one.key} was told {one.refusals} while at least {left} pieces of order {one.number} were left"
