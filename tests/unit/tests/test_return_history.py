"""The checks of return_history: each violation is found, and correct histories pass without an error."""

from dataclasses import replace

import pytest

from domain.errors import OrderNotFound
from domain.returns import Returned
from tests.support.books import Books
from tests.support.history import Attempt, History
from tests.support.return_history import ReturnAttempt

# There are three pieces of Tux. The buy a takes all, and two of them are given back, one after the other. Then b buys.
BOOKS = Books(
    products={"Tux": 1},
    ledger=[
        ("Tux", 3, 3, "initial", None),
        ("Tux", -3, 0, "sold", "a"),
        ("Tux", 1, 1, "returned", "r"),
        ("Tux", 1, 2, "returned", "s"),
        ("Tux", -1, 1, "sold", "b"),
    ],
    orders=[(0, "a", "Tux", 3), (1, "b", "Tux", 1)],
    refused={},
    refused_by_catalog={},
    intents=[],
    returns=[("r", 0, 1), ("s", 0, 1)],
    sales_given_back=[("r", "a"), ("s", "a")],
)
A = Attempt("a", "Tux", 3, begun_s=0.0, ended_s=1.0, answer="0")
B = Attempt("b", "Tux", 1, begun_s=6.0, ended_s=7.0, answer="1")
FIRST, SECOND = Returned(0, 1, 1, "2026-01-01T00:00:02.500Z"), Returned(0, 1, 2, "2026-01-01T00:00:04.500Z")
R = ReturnAttempt("r", 0, 1, begun_s=2.0, ended_s=3.0, answer=FIRST)
S = ReturnAttempt("s", 0, 1, begun_s=4.0, ended_s=5.0, answer=SECOND)
NONE_LEFT = "order 0 has 1 of its pieces left to give back, and not 2"
T = ReturnAttempt("t", 0, 2, begun_s=4.5, ended_s=4.8, answer=NONE_LEFT)


def history(*returns: ReturnAttempt, buys: tuple[Attempt, ...] = (A, B)) -> History:
    return History(list(buys), list(returns))


def test_the_history_of_a_correct_store_passes() -> None:
    unanswered, again = replace(R, begun_s=1.5, ended_s=1.8, answer=None), replace(R, begun_s=8.0, ended_s=9.0)
    history(unanswered, R, S, T, again).check(BOOKS)


def test_a_return_without_an_answer_may_be_logged_or_not() -> None:
    history(R, replace(S, answer=None), replace(T, answer=None)).check(BOOKS)


def test_a_return_of_all_that_is_left_agrees_with_any_number_of_pieces() -> None:
    history(R, replace(S, quantity=None)).check(BOOKS)


def test_a_repeated_refusal_may_have_other_words() -> None:
    later = replace(T, begun_s=6.0, ended_s=6.5, answer="no piece of order 0 is left to give back")
    history(R, S, T, later).check(BOOKS)


@pytest.mark.parametrize(
    ("returns", "violation"),
    [
        ([R, S, replace(S, key="u")], r"u was told Returned\(.*\), the log says None"),
        ([R, S, replace(R, answer=replace(FIRST, time="another"))], "r was told"),
        ([R, S, replace(R, answer=NONE_LEFT)], "r was told order 0 has .* the log says"),
        ([R, replace(S, answer=replace(SECOND, returned=3))], "s was told .* the log says"),
        ([R, replace(S, answer=NONE_LEFT)], "s was told .* the log says"),
        ([R, replace(S, quantity=2)], "s asked for 2 of order 0"),
        ([R], "s is in the log of returns, and nobody asked for it"),
        ([replace(R, begun_s=5.5, ended_s=5.6), S], "s was answered before r began, which has an earlier entry"),
        ([R, S, replace(T, quantity=1, begun_s=3.2, ended_s=3.8)], "t was told .* while at least 2 pieces of order 0"),
        ([R, S, replace(T, quantity=None)], "t was told .* while at least 1 pieces of order 0 were left"),
        ([R, S, replace(T, answer=OrderNotFound.message)], "t was told 'order not found' of order 0, which had been"),
    ],
)
def test_each_violation_is_found(returns: list[ReturnAttempt], violation: str) -> None:
    with pytest.raises(AssertionError, match=violation):
        history(*returns).check(BOOKS)


@pytest.mark.parametrize("number", [1, 9])
def test_an_order_that_is_not_yet_answered_may_be_unknown(number: int) -> None:
    unknown = replace(T, number=number, answer=OrderNotFound.message)
    history(R, S, unknown).check(BOOKS)


# The buy c of one piece is refused.
REFUSED = replace(BOOKS, refused={"c": "out of stock"}, refused_by_catalog={"c": "out of stock"})
C = Attempt("c", "Tux", 1, begun_s=2.5, ended_s=2.8, answer="out of stock")


def test_a_refusal_before_the_end_of_a_return_passes() -> None:
    history(R, S, buys=(A, C, B)).check(REFUSED)


def test_a_refusal_after_a_return_is_a_violation() -> None:
    late = replace(C, begun_s=3.5, ended_s=3.8)
    with pytest.raises(AssertionError, match="c was told 'out of stock' while at least 1 pieces of Tux were there"):
        history(R, S, buys=(A, late, B)).check(REFUSED)
    history(replace(R, answer=None), S, buys=(A, late, B)).check(REFUSED)


@pytest.mark.parametrize(
    ("books", "promise"),
    [
        (replace(BOOKS, returns=[("r", 0, 1)]), "I1, I3: the pieces given back are those in the stock"),
        (replace(BOOKS, returns=[("r", 1, 1), ("s", 0, 1)]), "I1, I3: the pieces given back are those in the stock"),
        (replace(BOOKS, return_intents=["u"]), "I6: no return is in doubt"),
    ],
)
def test_books_that_break_a_promise_fail_with_any_history(books: Books, promise: str) -> None:
    with pytest.raises(AssertionError, match=promise):
        history(R, S).check(books)


def test_books_with_more_given_back_than_was_bought_fail() -> None:
    more = replace(
        BOOKS,
        products={"Tux": 3},
        ledger=[*BOOKS.ledger, ("Tux", 2, 3, "returned", "u")],
        returns=[*BOOKS.returns, ("u", 0, 2)],
        sales_given_back=[*BOOKS.sales_given_back, ("u", "a")],
    )
    with pytest.raises(AssertionError, match="I3: no more of order 0 is given back than was bought"):
        history(R, S).check(more)
