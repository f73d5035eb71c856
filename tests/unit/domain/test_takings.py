"""Takings are added up by any name, net of returns, and sorted by what they earned."""

from domain.owner import Takings
from domain.takings import TakingsSum, sorted_by_revenue, sum_takings, sums_by

TAKINGS = [
    Takings("2026-11-28", "Tux", 3, 300, 1, 100),
    Takings("2026-11-28", "Bird", 1, 200, 0, 0),
    Takings("2026-10-30", "Tux", 0, 0, 2, 250),
]


def test_all_takings_have_one_sum() -> None:
    total = sum_takings(TAKINGS)
    assert total == TakingsSum(4, 500, 3, 350)
    assert (total.net, total.net_cents) == (1, 150)


def test_nothing_taken_is_a_sum_of_nothing() -> None:
    assert sum_takings([]) == TakingsSum(0, 0, 0, 0)
    assert sums_by([], lambda one: one.day) == {}


def test_the_sums_of_names_stand_in_the_order_of_the_takings() -> None:
    assert list(sums_by(TAKINGS, lambda one: one.day[:7]).items()) == [
        ("2026-11", TakingsSum(4, 500, 1, 100)),
        ("2026-10", TakingsSum(0, 0, 2, 250)),
    ]


def test_those_that_earned_the_most_come_first_then_by_name() -> None:
    sums = sums_by([*TAKINGS, Takings("2026-11-28", "Ant", 2, 200, 0, 0)], lambda one: one.product)
    assert [(name, one.net_cents) for name, one in sorted_by_revenue(sums)] == [
        ("Ant", 200),
        ("Bird", 200),
        ("Tux", -50),
    ]
