"""The benchmark of pages: its products and its table."""

from bench import pages
from domain.values import MAX_NAME_CHARACTERS, fold
from wsgi_apps.queries import MAX_LIMIT


def test_a_load_that_delays_buys_beyond_the_bar_is_marked() -> None:
    fast = pages.Row("quick", 64, True, 20.0, 40.0, ratio=2.0, worst_ratio=3.0, answers_per_second=1_234.0, errors=0)
    slow = pages.Row("slow", 8, True, 41.0, 90.0, ratio=2.05, worst_ratio=2.5, answers_per_second=3.25, errors=7)
    free = pages.Row("free", 8, False, 41.0, 90.0, ratio=9.0, worst_ratio=9.0, answers_per_second=3.0, errors=0)
    assert pages.table([fast, slow, free]).splitlines()[2:] == [
        "| quick | 64 | 20.0 | 40.0 | 2.00 | 3.00 | 2 | yes | 1,234 | 0 |",
        "| slow | 8 | 41.0 | 90.0 | 2.05 | 2.50 | 2 | **no** | 3.2 | 7 |",
        "| free | 8 | 41.0 | 90.0 | 9.00 | 9.00 |  |  | 3.0 | 0 |",
    ]


def test_a_page_has_the_longest_names_and_none_contains_a_searched_text() -> None:
    names = list(pages.product_names())
    assert len(names) == len(set(names)) == pages.PRODUCTS
    longest = sorted(name for name in names if name > "Tux")
    assert {len(name) for name in longest} == {MAX_NAME_CHARACTERS}
    assert len(longest) == MAX_LIMIT
    for q in ("zzzz", "q"):
        assert not [name for name in names if fold(q) in fold(name)]
