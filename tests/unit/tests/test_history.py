"""The checks of tests/support/history.py: each violation is found, and correct histories pass."""

from dataclasses import replace

import pytest

from tests.support.books import Books
from tests.support.history import Attempt, History

# There are two pieces of Tux: a and b buy them, and c is refused.
BOOKS = Books(
    products={"Tux": 0},
    ledger=[
        ("Tux", 2, 2, "initial", None),
        ("Tux", -1, 1, "sold", "a"),
        ("Tux", -1, 0, "sold", "b"),
    ],
    orders=[(0, "a", "Tux", 1), (1, "b", "Tux", 1)],
    refused={"c": "out of stock"},
    refused_by_catalog={"c": "out of stock"},
    intents=[],
)
A = Attempt("a", "Tux", 1, begun_s=0.0, ended_s=1.0, answer="0")
B = Attempt("b", "Tux", 1, begun_s=2.0, ended_s=3.0, answer="1")
C = Attempt("c", "Tux", 1, begun_s=2.5, ended_s=2.8, answer="out of stock")


def test_the_history_of_a_correct_store_passes() -> None:
    unanswered = replace(A, begun_s=-1.0, ended_s=-0.5, answer=None)
    again = replace(A, begun_s=8.0, ended_s=9.0)
    History([unanswered, A, B, C, again]).check(BOOKS)


@pytest.mark.parametrize(
    ("attempts", "violation"),
    [
        ([A, B, C, replace(A, key="d")], "d was told .'0'., the log says None"),
        ([A, B, C, replace(A, answer="7")], "a was told .'0', '7'., the log says '0'"),
        ([A, B, C, replace(A, answer="out of stock")], "a was told"),
        ([replace(A, quantity=2), B, C], "a asked for 2 x Tux, the log has 1 x Tux"),
        ([A, C], "b is in the log, and nobody asked for it"),
        ([A, B], "c is in the log, and nobody asked for it"),
        ([replace(A, begun_s=6.0, ended_s=7.0), B, replace(C, ended_s=9.0)], "b, number 1, was answered before a"),
        ([A, B, replace(C, begun_s=1.5, ended_s=1.9)], "c was told 'out of stock' while at least 1 pieces"),
        ([A, B, C, replace(C, answer="product not found")], "c was told 'product not found' while Tux was for sale"),
    ],
)
def test_each_violation_is_found(attempts: list[Attempt], violation: str) -> None:
    with pytest.raises(AssertionError, match=violation):
        History(attempts).check(BOOKS)


def test_a_slow_buy_of_the_last_piece_justifies_a_refusal() -> None:
    slow = replace(B, begun_s=1.8, ended_s=9.0)
    History([A, slow, replace(C, begun_s=1.5, ended_s=1.9)]).check(BOOKS)


# Tux is retired, so c gets "product not found".
RETIRED = replace(
    BOOKS,
    refused={"c": "product not found"},
    refused_by_catalog={"c": "product not found"},
    retired=frozenset({"Tux"}),
)
NOT_FOUND = [A, B, replace(C, answer="product not found")]


@pytest.mark.parametrize("retired_s", [{}, {"Tux": 2.7}])
def test_a_retired_product_may_be_not_found(retired_s: dict[str, float]) -> None:
    History(NOT_FOUND, retired_s=retired_s).check(RETIRED)


def test_a_product_that_is_not_yet_retired_must_be_found() -> None:
    with pytest.raises(AssertionError, match="c was told 'product not found' while Tux was for sale"):
        History(NOT_FOUND, retired_s={"Tux": 2.9}).check(RETIRED)


# The owner restocks two pieces of Tux, which nobody buys.
RESTOCKED = replace(BOOKS, products={"Tux": 2}, ledger=[*BOOKS.ledger, ("Tux", 2, 2, "restock", "owner's")])


def test_a_refusal_after_a_restock_is_a_violation() -> None:
    with pytest.raises(AssertionError, match="c was told 'out of stock' while at least 2 pieces"):
        History([A, B, C], restocked_s={"owner's": 2.4}).check(RESTOCKED)


@pytest.mark.parametrize("restocked_s", [{}, {"owner's": 2.6}])
def test_a_refusal_before_the_end_of_a_restock_passes(restocked_s: dict[str, float]) -> None:
    History([A, B, C], restocked_s=restocked_s).check(RESTOCKED)


def test_an_unanswered_key_may_be_sold_or_refused() -> None:
    History([A, replace(B, answer=None), replace(C, answer=None)]).check(BOOKS)


def test_books_that_break_a_promise_fail_with_any_history() -> None:
    with pytest.raises(AssertionError, match="I4"):
        History([A, B, C]).check(replace(BOOKS, orders=[(0, "a", "Tux", 1), (2, "b", "Tux", 1)]))
