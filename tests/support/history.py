"""What shoppers asked and were told, and when; and whether any store that keeps its promises could have said so.

Each check takes the shoppers' side, which the books cannot know: I1 to I6 may hold in books that have forgotten a buy
together with its key. The checks are those of Jepsen's set-full and of a linearizable counter, for a store's replies.
"""

import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from math import inf

from domain.checkout import Checkout
from domain.errors import OutOfStock, ProductNotFound, Refused, Unavailable
from domain.values import Buy
from tests.support.books import Books


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request for a buy. `answer` is the order's number, the refusal's reason, or None: no answer, or a 503."""

    key: str
    product: str
    quantity: int
    begun_s: float
    ended_s: float
    answer: str | None


@dataclass(frozen=True, slots=True)
class Asked:
    """All attempts under one key. `answered_s` is when the first answer came."""

    key: str
    product: str
    quantity: int
    begun_s: float
    answered_s: float | None
    answers: frozenset[str]


@dataclass
class History:
    """Attempts of any number of threads: list.append is atomic.

    The owner's changes stand beside them: when a restock was done, by its key, and when a product's retirement began.
    """

    attempts: list[Attempt] = field(default_factory=list)
    restocked_s: dict[str, float] = field(default_factory=dict)
    retired_s: dict[str, float] = field(default_factory=dict)

    def buy(self, checkout: Checkout, buy: Buy) -> str:
        """Places a buy without a network between; the answer. Asked again while the store is busy, as a tier does."""
        while True:
            begun_s, answer = time.monotonic(), None
            try:
                answer = str(checkout.place(buy))
            except Refused as refused:
                answer = refused.message
            except Unavailable:
                pass
            self.attempts.append(Attempt(buy.key, buy.product, buy.quantity, begun_s, time.monotonic(), answer))
            if answer is not None:
                return answer

    def keys(self) -> dict[str, Asked]:
        """Each key that was sent, with all that it was told."""
        attempts: dict[str, list[Attempt]] = defaultdict(list)
        for attempt in list(self.attempts):
            attempts[attempt.key].append(attempt)
        return {key: _together(of_key) for key, of_key in attempts.items()}

    def check(self, books: Books) -> None:
        """Asserts that the books at rest keep I1 to I6, and could have led to every answer at the time it was given."""
        books.check()
        wrong = list(violations(self, books))
        assert not wrong, f"{len(wrong)} violations:\n" + "\n".join(wrong[:20])


def assert_told(books: Books, replies: Mapping[str, Iterable[str]]) -> None:
    """Asserts I5 alone, of answers whose times nobody noted: each key was told what the log says."""
    numbers = {key: str(number) for number, key, *_ in books.orders}
    for key, answers in replies.items():
        logged = numbers.get(key, books.refused.get(key))
        assert set(answers) == {logged}, f"I5: {key} was told {sorted(answers)}, the log says {logged!r}"


def violations(history: History, books: Books) -> Iterator[str]:
    """One line for each thing that cannot be."""
    asked = history.keys()
    yield from _answers(asked, books)
    yield from _order_in_time(asked, books)
    yield from _not_found(asked, history.retired_s, books)
    yield from _out_of_stock(asked, history.restocked_s, books)


def _together(attempts: list[Attempt]) -> Asked:
    first = attempts[0]
    assert all((one.product, one.quantity) == (first.product, first.quantity) for one in attempts), first.key
    return Asked(
        first.key,
        first.product,
        first.quantity,
        begun_s=min(attempt.begun_s for attempt in attempts),
        answered_s=min((attempt.ended_s for attempt in attempts if attempt.answer is not None), default=None),
        answers=frozenset(attempt.answer for attempt in attempts if attempt.answer is not None),
    )


def _answers(asked: Mapping[str, Asked], books: Books) -> Iterator[str]:
    """I5: all answers to a key agree with each other and with the log; and the log has what was asked, nothing else."""
    logged = {key: (product, quantity, str(number)) for number, key, product, quantity in books.orders}
    for key, buy in asked.items():
        product, quantity, outcome = logged.get(key, (buy.product, buy.quantity, books.refused.get(key)))
        if (product, quantity) != (buy.product, buy.quantity):
            yield f"{key} asked for {buy.quantity} x {buy.product}, the log has {quantity} x {product}"
        if buy.answers and buy.answers != {outcome}:
            yield f"{key} was told {sorted(buy.answers)}, the log says {outcome!r}"
    for key in (logged.keys() | books.refused.keys()) - asked.keys():
        yield f"{key} is in the log, and nobody asked for it"


def _order_in_time(asked: Mapping[str, Asked], books: Books) -> Iterator[str]:
    """I4: a buy that was answered before another began has the smaller number."""
    latest: Asked | None = None  # the one that began last, of those with a smaller number
    for number, key, *_ in books.orders:
        buy = asked.get(key)
        if buy is None:
            continue
        if latest is not None and buy.answered_s is not None and buy.answered_s < latest.begun_s:
            yield f"{key}, number {number}, was answered before {latest.key}, a smaller number, began"
        if latest is None or buy.begun_s > latest.begun_s:
            latest = buy


def _not_found(asked: Mapping[str, Asked], retired_s: Mapping[str, float], books: Books) -> Iterator[str]:
    """I5: who was told that there is no such product had the answer after its retirement had begun."""
    for buy in asked.values():
        if ProductNotFound.message in buy.answers and buy.product in books.products:
            assert buy.answered_s is not None
            # Nobody noted when a product was retired: then it may have been at any time.
            gone_s = retired_s.get(buy.product, -inf) if buy.product in books.retired else inf
            if buy.answered_s < gone_s:
                yield f"{buy.key} was told that there is no {buy.product}, which there is"


def _out_of_stock(asked: Mapping[str, Asked], restocked_s: Mapping[str, float], books: Books) -> Iterator[str]:
    """I5: who was told that it is out of stock asked at a time at which the stock could have been short.

    Could: every buy that had begun when the answer came, and is in the log, may have taken its pieces already, and no
    restock need be there but those that were done when the refused buy began.
    """
    taken, brought = _taken_by(asked, books), _brought_by(restocked_s, books)
    for buy in asked.values():
        if OutOfStock.message in buy.answers:
            assert buy.answered_s is not None
            left = _sum_at(brought[buy.product], buy.begun_s) - _sum_at(taken[buy.product], buy.answered_s)
            if left >= buy.quantity:
                yield f"{buy.key} was told 'out of stock' while at least {left} pieces of {buy.product} were there"


def _brought_by(restocked_s: Mapping[str, float], books: Books) -> dict[str, list[tuple[float, int]]]:
    """For each product, when each delivery was there for certain, and how many pieces all up to it brought."""
    brought: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for product, delta, _, reason, key in books.ledger:
        if reason == "initial":
            brought[product].append((-inf, delta))
        elif reason == "restock" and key is not None and key in restocked_s:
            brought[product].append((restocked_s[key], delta))
    return _summed(brought)


def _taken_by(asked: Mapping[str, Asked], books: Books) -> dict[str, list[tuple[float, int]]]:
    """For each product, when each buy in the log began, and how many pieces all up to it took."""
    took: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for _, key, product, quantity in books.orders:
        took[product].append((asked[key].begun_s if key in asked else 0.0, quantity))
    # A direct decrement at the catalog is not in the history: it may have come at any time.
    for product, delta, _, reason, _ in books.ledger:
        if reason == "decrement":
            took[product].append((0.0, -delta))
    return _summed(took)


def _summed(moved: Mapping[str, list[tuple[float, int]]]) -> dict[str, list[tuple[float, int]]]:
    """For each product, its moves in the order of time, each with the sum of all up to it."""
    sums: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for product, moves in moved.items():
        moves.sort()
        sums[product] = list(zip((at_s for at_s, _ in moves), accumulate(pieces for _, pieces in moves), strict=True))
    return sums


def _sum_at(sums: list[tuple[float, int]], at_s: float) -> int:
    moves = bisect_right(sums, (at_s, inf))
    return sums[moves - 1][1] if moves else 0
