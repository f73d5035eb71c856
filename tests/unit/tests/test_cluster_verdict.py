"""The verdict of fault runs: it counts each seeded violation under its kind, and a correct history is clean."""

from dataclasses import replace

import pytest

from tests.cluster.verdict import KINDS, judge
from tests.support.books import Books
from tests.support.history import Attempt, History

# There are three pieces of Tux: a takes one, b takes two, and c is refused.
BOOKS = Books(
    products={"Tux": 0},
    ledger=[
        ("Tux", 3, 3, "initial", None),
        ("Tux", -1, 2, "sold", "a"),
        ("Tux", -2, 0, "sold", "b"),
    ],
    orders=[(0, "a", "Tux", 1), (1, "b", "Tux", 2)],
    refused={"c": "out of stock"},
    refused_by_catalog={"c": "out of stock"},
    intents=[],
)
A = Attempt("a", "Tux", 1, begun_s=0.0, ended_s=1.0, answer="0")
B = Attempt("b", "Tux", 2, begun_s=2.0, ended_s=3.0, answer="1")
C = Attempt("c", "Tux", 1, begun_s=4.0, ended_s=5.0, answer="out of stock")
ATTEMPTS = [A, replace(A, answer=None), B, C, replace(C, begun_s=6.0, ended_s=7.0)]


def test_a_correct_history_is_clean() -> None:
    verdict = judge(History(ATTEMPTS), BOOKS)
    assert verdict.is_clean, list(verdict.details())
    assert str(verdict) == ", ".join(f"0 {kind}" for kind in KINDS)


TWICE = [*BOOKS.ledger, ("Tux", -1, -1, "sold", "a")]


@pytest.mark.parametrize(
    ("kind", "attempts", "books", "line"),
    [
        pytest.param(
            "lost",
            [*ATTEMPTS, replace(A, key="d", answer="2")],
            BOOKS,
            "d was told '2'; the log has None",
            id="an order",
        ),
        pytest.param(
            "lost",
            [*ATTEMPTS, replace(C, key="d")],
            BOOKS,
            "d was told 'out of stock'; the log has None",
            id="a refusal",
        ),
        pytest.param(
            "lost",
            [*ATTEMPTS, replace(A, answer="7")],
            BOOKS,
            "a was told '7'; the log has ('0', 'Tux', 1)",
            id="a number",
        ),
        pytest.param(
            "lost",
            ATTEMPTS,
            replace(BOOKS, orders=[(0, "a", "Tux", 1), (1, "b", "Tux", 1)]),
            "b was told '1'; the log has ('1', 'Tux', 1)",
            id="a piece",
        ),
        pytest.param(
            "doubled",
            ATTEMPTS,
            replace(BOOKS, orders=[*BOOKS.orders, (2, "a", "Tux", 1)]),
            "a is ordered 2 times and sold 1 times",
            id="an order twice",
        ),
        pytest.param(
            "doubled",
            ATTEMPTS,
            replace(BOOKS, ledger=TWICE),
            "a is ordered 1 times and sold 2 times",
            id="a sale twice",
        ),
        pytest.param(
            "doubled",
            ATTEMPTS,
            replace(BOOKS, refused_by_catalog={"a": "out of stock", "c": "out of stock"}),
            "a has bought and was refused",
            id="bought and refused",
        ),
        pytest.param(
            "doubled",
            [*ATTEMPTS, replace(A, key="d")],
            BOOKS,
            "number 0 was told to a and to d",
            id="a number twice",
        ),
        pytest.param(
            "oversold",
            ATTEMPTS,
            replace(BOOKS, ledger=TWICE, products={"Tux": -1}),
            "Tux has -1 pieces after a",
            id="stock",
        ),
        pytest.param(
            "oversold",
            ATTEMPTS,
            replace(BOOKS, ledger=[*BOOKS.ledger[:2], ("Tux", -2, 1, "sold", "b")]),
            "the ledger of Tux says 1 after b, and its entries add up to 0",
            id="a balance",
        ),
        pytest.param(
            "oversold",
            ATTEMPTS,
            replace(BOOKS, products={"Tux": 5}),
            "Tux has a stock of 5, and its ledger",
            id="a stock",
        ),
        pytest.param(
            "gaps",
            ATTEMPTS,
            replace(BOOKS, orders=[(0, "a", "Tux", 1), (2, "b", "Tux", 2)]),
            "number 1 is there 0 times",
            id="a gap",
        ),
        pytest.param("in doubt", ATTEMPTS, replace(BOOKS, intents=["e"]), "e is in doubt", id="a buy in doubt"),
        pytest.param("wrong", [A, C], BOOKS, "b is in the log, and nobody asked for it", id="an unknown buy"),
        pytest.param(
            "wrong",
            [replace(A, begun_s=8.0, ended_s=9.0), B, replace(C, ended_s=10.0)],
            BOOKS,
            "b, number 1, was answered before a began",
            id="numbers against time",
        ),
        pytest.param(
            "wrong", ATTEMPTS, replace(BOOKS, orders=BOOKS.orders[:1]), "b, 2 x Tux, is sold and not ordered", id="sold"
        ),
        pytest.param(
            "wrong",
            ATTEMPTS,
            replace(BOOKS, ledger=BOOKS.ledger[:2], products={"Tux": 2}),
            "b, 2 x Tux, is ordered and not sold",
            id="ordered",
        ),
        pytest.param(
            "wrong",
            ATTEMPTS,
            replace(BOOKS, refused_by_catalog={}),
            "c is refused in the log only",
            id="a refusal alone",
        ),
    ],
)
def test_each_seeded_violation_is_counted_under_its_kind(
    kind: str, attempts: list[Attempt], books: Books, line: str
) -> None:
    verdict = judge(History(attempts), books)
    assert not verdict.is_clean
    assert any(found.startswith(line) for found in verdict.found[kind]), list(verdict.details())


def test_a_key_without_an_answer_is_told() -> None:
    verdict = judge(History(ATTEMPTS), BOOKS, unanswered=["f"])
    assert verdict.found["unanswered"] == ["f got no answer"]


def test_a_failed_check_of_the_database_is_told() -> None:
    verdict = judge(History(ATTEMPTS), BOOKS, failed_checks={"I2 oversold": 3})
    assert verdict.found["wrong"] == ["I2 oversold: 3"]


def test_what_was_found_before_is_not_found_again() -> None:
    verdict = judge(History([*ATTEMPTS, replace(A, key="d", answer="2")]), BOOKS)
    assert verdict.without({"d was told '2'; the log has None"}).is_clean
    assert not verdict.without({"something else"}).is_clean


def test_only_the_first_findings_of_a_kind_are_shown() -> None:
    attempts = [replace(A, key=f"d{number}", answer=str(number + 2)) for number in range(12)]
    details = list(judge(History([*ATTEMPTS, *attempts]), BOOKS).details())
    assert len(details) == 11
    assert details[-1] == "lost: and 2 more"
