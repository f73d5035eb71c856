"""Records each request of shoppers and owner with its reply, and checks that a correct store could have replied so.

The books alone are not enough: a store that loses a buy together with its key has books in which I1 to I6 hold. The
checks are those of Jepsen's set-full and of a linearizable counter.
"""

import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from math import inf

from domain.checkout import Checkout
from domain.errors import Invalid, KeyReused, OrderNotFound, OutOfStock, ProductNotFound, Refused, Unavailable
from domain.returns import OwnerReturns, Return, Returned
from domain.values import Buy
from tests.support.books import Books
from tests.support.return_history import MergedReturn, ReturnAttempt, merged_returns, return_violations


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request for a buy. `answer` is the order number or the reason of a refusal; None when it must be repeated."""

    key: str
    product: str
    quantity: int
    begun_s: float
    ended_s: float
    answer: str | None


@dataclass(frozen=True, slots=True)
class MergedBuy:
    """All attempts under one key. `answered_s` is the time of the first answer."""

    key: str
    product: str
    quantity: int
    begun_s: float
    answered_s: float | None
    answers: frozenset[str]


@dataclass
class History:
    """The attempts of all threads, to buy and to give back, and the times of the owner's changes.

    `restocked_s` has the end of each restock by its key, `retired_s` the begin of each retirement by its product.
    """

    attempts: list[Attempt] = field(default_factory=list)  # threads share it, since list.append is atomic
    return_attempts: list[ReturnAttempt] = field(default_factory=list)
    restocked_s: dict[str, float] = field(default_factory=dict)
    retired_s: dict[str, float] = field(default_factory=dict)

    def buy(self, checkout: Checkout, buy: Buy) -> str:
        """Places a buy, repeats it until it has an answer, and records each attempt. Returns the answer."""
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

    def give_back(self, returns: OwnerReturns, asked: Return) -> Returned | str:
        """Gives back, repeats it until it has an answer, and records each attempt. Returns the answer."""
        while True:
            begun_s = time.monotonic()
            answer: Returned | str | None = None
            try:
                answer = returns.give_back(asked)
            except (Invalid, KeyReused, OrderNotFound) as refused:
                answer = refused.message
            except Unavailable:
                pass
            attempt = ReturnAttempt(asked.key, asked.number, asked.quantity, begun_s, time.monotonic(), answer)
            self.return_attempts.append(attempt)
            if answer is not None:
                return answer

    def merged(self) -> dict[str, MergedBuy]:
        """Returns the buys by key, each merged from its attempts."""
        attempts: dict[str, list[Attempt]] = defaultdict(list)
        for attempt in list(self.attempts):
            attempts[attempt.key].append(attempt)
        return {key: _merge(attempts_of_key) for key, attempts_of_key in attempts.items()}

    def check(self, books: Books) -> None:
        """Asserts that the books at rest keep I1 to I6, and that a correct store could give each answer at its time."""
        books.check()
        wrong = list(violations(self, books))
        assert not wrong, f"{len(wrong)} violations:\n" + "\n".join(wrong[:20])


def assert_answers_match_log(books: Books, replies: Mapping[str, Iterable[str]]) -> None:
    """Asserts I5 without times: all answers to a key are its outcome in the log."""
    numbers = {key: str(number) for number, key, *_ in books.orders}
    for key, answers in replies.items():
        logged = numbers.get(key, books.refused.get(key))
        assert set(answers) == {logged}, f"I5: {key} was told {sorted(answers)}, the log says {logged!r}"


def violations(history: History, books: Books) -> Iterator[str]:
    """Yields a line for each answer or log entry that a correct store could not have made."""
    buys, returns = history.merged(), merged_returns(history.return_attempts)
    yield from _answers_match_log(buys, books)
    yield from _numbers_in_time_order(buys, books)
    yield from _answers_not_found(buys, history.retired_s, books)
    yield from _answers_out_of_stock(buys, _delivered(history.restocked_s, returns, books), books)
    yield from return_violations(returns, _ordered_s(buys, books), books)


def _merge(attempts: list[Attempt]) -> MergedBuy:
    """Merges the attempts under one key. Asserts that all ask for the same."""
    first = attempts[0]
    assert all((one.product, one.quantity) == (first.product, first.quantity) for one in attempts), first.key
    return MergedBuy(
        first.key,
        first.product,
        first.quantity,
        begun_s=min(attempt.begun_s for attempt in attempts),
        answered_s=min((attempt.ended_s for attempt in attempts if attempt.answer is not None), default=None),
        answers=frozenset(attempt.answer for attempt in attempts if attempt.answer is not None),
    )


def _answers_match_log(buys: Mapping[str, MergedBuy], books: Books) -> Iterator[str]:
    """Checks I5: all answers to a key agree with each other and with the log, and the log has no unknown buy."""
    logged = {key: (product, quantity, str(number)) for number, key, product, quantity in books.orders}
    for key, buy in buys.items():
        product, quantity, outcome = logged.get(key, (buy.product, buy.quantity, books.refused.get(key)))
        if (product, quantity) != (buy.product, buy.quantity):
            yield f"{key} asked for {buy.quantity} x {buy.product}, the log has {quantity} x {product}"
        if buy.answers and buy.answers != {outcome}:
            yield f"{key} was told {sorted(buy.answers)}, the log says {outcome!r}"
    for key in (logged.keys() | books.refused.keys()) - buys.keys():
        yield f"{key} is in the log, and nobody asked for it"


def _numbers_in_time_order(buys: Mapping[str, MergedBuy], books: Books) -> Iterator[str]:
    """Checks I4: a buy that was answered before another one began has the smaller number."""
    latest: MergedBuy | None = None  # began last of the buys with a smaller number
    for number, key, *_ in books.orders:
        buy = buys.get(key)
        if buy is None:
            continue
        if latest is not None and buy.answered_s is not None and buy.answered_s < latest.begun_s:
            yield f"{key}, number {number}, was answered before {latest.key} began, which has a smaller number"
        if latest is None or buy.begun_s > latest.begun_s:
            latest = buy


def _answers_not_found(buys: Mapping[str, MergedBuy], retired_s: Mapping[str, float], books: Books) -> Iterator[str]:
    """Checks I5: the answer "product not found" came after the product's retirement had begun."""
    for buy in buys.values():
        if ProductNotFound.message in buy.answers and buy.product in books.products:
            assert buy.answered_s is not None
            # A retirement without a recorded time may have begun at any time.
            retirement_s = retired_s.get(buy.product, -inf) if buy.product in books.retired else inf
            if buy.answered_s < retirement_s:
                yield f"{buy.key} was told 'product not found' while {buy.product} was for sale"


def _answers_out_of_stock(
    buys: Mapping[str, MergedBuy], delivered: Mapping[str, list[tuple[float, int]]], books: Books
) -> Iterator[str]:
    """Checks I5: when the answer "out of stock" came, the stock could have been too small.

    The smallest possible stock has the restocks and returns that had ended when the refused buy began, less all buys in
    the log that had begun when its answer came.
    """
    taken = _taken(buys, books)
    for buy in buys.values():
        if OutOfStock.message in buy.answers:
            assert buy.answered_s is not None
            left = _sum_at(delivered[buy.product], buy.begun_s) - _sum_at(taken[buy.product], buy.answered_s)
            if left >= buy.quantity:
                yield f"{buy.key} was told 'out of stock' while at least {left} pieces of {buy.product} were there"


def _ordered_s(buys: Mapping[str, MergedBuy], books: Books) -> dict[int, float]:
    """Returns the time at which each order was answered first, by its number."""
    times = ((number, buys[key].answered_s) for number, key, *_ in books.orders if key in buys)
    return {number: answered_s for number, answered_s in times if answered_s is not None}


def _delivered(
    restocked_s: Mapping[str, float], returns: Mapping[str, MergedReturn], books: Books
) -> defaultdict[str, list[tuple[float, int]]]:
    """Returns for each product the time at which each delivery or return had ended, and the pieces until then."""
    delivered: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for product, delta, _, reason, key in books.ledger:
        if reason == "initial":
            delivered[product].append((-inf, delta))
        elif reason == "restock" and key is not None and key in restocked_s:
            delivered[product].append((restocked_s[key], delta))
        elif reason == "returned" and key is not None and key in returns:
            answered_s = returns[key].answered_s
            if answered_s is not None:  # without an answer it may have ended at any time
                delivered[product].append((answered_s, delta))
    return _cumulated(delivered)


def _taken(buys: Mapping[str, MergedBuy], books: Books) -> defaultdict[str, list[tuple[float, int]]]:
    """Returns for each product the time at which each buy in the log began, and the pieces taken until then."""
    taken: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for _, key, product, quantity in books.orders:
        taken[product].append((buys[key].begun_s if key in buys else -inf, quantity))
    # The history does not record direct decrements at the catalog: each may have come at any time.
    for product, delta, _, reason, _ in books.ledger:
        if reason == "decrement":
            taken[product].append((-inf, -delta))
    return _cumulated(taken)


def _cumulated(changes: Mapping[str, list[tuple[float, int]]]) -> defaultdict[str, list[tuple[float, int]]]:
    """Sorts the changes of each product by time, and replaces the pieces of each by the sum up to it."""
    sums: defaultdict[str, list[tuple[float, int]]] = defaultdict(list)
    for product, unsorted in changes.items():
        ordered = sorted(unsorted)
        times_s = [at_s for at_s, _ in ordered]
        sums[product] = list(zip(times_s, accumulate(pieces for _, pieces in ordered), strict=True))
    return sums


def _sum_at(sums: list[tuple[float, int]], at_s: float) -> int:
    """Returns the sum of all changes up to a time."""
    changes = bisect_right(sums, (at_s, inf))
    return sums[changes - 1][1] if changes else 0
