"""The checker notices what it is there to notice."""

from dataclasses import replace

import pytest

from tests.support.books import Books
from tests.support.history import Attempt, History

# Two pieces of Tux; a and b buy them, and c comes too late.
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


def test_what_a_good_store_says_is_no_violation() -> None:
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
        ([A, B, C, replace(C, answer="product not found")], "there is no Tux, which there is"),
    ],
)
def test_a_violation_is_named(attempts: list[Attempt], violation: str) -> None:
    with pytest.raises(AssertionError, match=violation):
        History(attempts).check(BOOKS)


def test_a_buy_that_may_have_taken_the_last_piece_makes_a_refusal_possible() -> None:
    slow = replace(B, begun_s=1.8, ended_s=9.0)
    History([A, slow, replace(C, begun_s=1.5, ended_s=1.9)]).check(BOOKS)


# Tux goes: c is not found.
RETIRED = replace(
    BOOKS,
    refused={"c": "product not found"},
    refused_by_catalog={"c": "product not found"},
    retired=frozenset({"Tux"}),
)
NOT_FOUND = [A, B, replace(C, answer="product not found")]


@pytest.mark.parametrize("retired_s", [{}, {"Tux": 2.7}])
def test_a_product_that_is_retired_may_not_be_found(retired_s: dict[str, float]) -> None:
    History(NOT_FOUND, retired_s=retired_s).check(RETIRED)


def test_a_product_is_found_until_it_is_retired() -> None:
    with pytest.raises(AssertionError, match="c was told that there is no Tux"):
        History(NOT_FOUND, retired_s={"Tux": 2.9}).check(RETIRED)


# The owner brings two more pieces of Tux, which nobody buys.
RESTOCKED = replace(BOOKS, products={"Tux": 2}, ledger=[*BOOKS.ledger, ("Tux", 2, 2, "restock", "owner's")])


def test_a_refusal_after_a_restock_is_named() -> None:
    with pytest.raises(AssertionError, match="c was told 'out of stock' while at least 2 pieces"):
        History([A, B, C], restocked_s={"owner's": 2.4}).check(RESTOCKED)


@pytest.mark.parametrize("restocked_s", [{}, {"owner's": 2.6}])
def test_a_refusal_that_a_restock_may_have_missed_is_possible(restocked_s: dict[str, float]) -> None:
    History([A, B, C], restocked_s=restocked_s).check(RESTOCKED)


def test_a_key_without_an_answer_may_have_ended_either_way() -> None:
    History([A, replace(B, answer=None), replace(C, answer=None)]).check(BOOKS)


def test_books_that_break_a_promise_are_no_good_whatever_was_said() -> None:
    with pytest.raises(AssertionError, match="I4"):
        History([A, B, C]).check(replace(BOOKS, orders=[(0, "a", "Tux", 1), (2, "b", "Tux", 1)]))
