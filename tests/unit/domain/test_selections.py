"""Which buys are meant: parsed as people and programs name them."""

from datetime import date

import pytest

from domain.errors import Invalid
from domain.owner import REFUSED_NUMBER, Selection
from domain.selections import day_after, encode_selection, parse_day, parse_moment, parse_selection

WHOLE = Selection(7, "Tux", "k", "2026-11-01", "2026-12-01T12:30")


def test_a_selection_comes_back_from_its_parameters() -> None:
    for selection in (WHOLE, Selection(), Selection(number=0), Selection(number=REFUSED_NUMBER)):
        assert parse_selection(encode_selection(selection)) == selection


def test_an_empty_parameter_means_any() -> None:
    assert parse_selection(dict.fromkeys(("number", "product", "key", "since", "until"), "")) == Selection()


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("2026-11-28", "2026-11-28"),
        ("2026-11-28T17", "2026-11-28T17"),
        ("2026-11-28T17:30", "2026-11-28T17:30"),
        ("2026-11-28T17:30:59Z", "2026-11-28T17:30:59"),
        ("2026-11-28T17:30:59.123Z", "2026-11-28T17:30:59.123"),
        ("2024-02-29", "2024-02-29"),
    ],
)
def test_a_moment_is_compared_as_the_log_writes_times(text: str, parsed: str) -> None:
    assert parse_moment(text) == parsed


@pytest.mark.parametrize(
    "text",
    [
        "today",
        "2026-02-29",
        "2026-13-01",
        "2026-11-28T24:00",
        "2026-11-28T17:30+01:00",
        "2026-11-28 17:30",
        "28.11.2026",
        "٢٠٢٦-11-28",
    ],
)
def test_another_text_is_no_moment(text: str) -> None:
    with pytest.raises(Invalid, match="is not a day such as 2026-11-28, or a time of one"):
        parse_moment(text)


@pytest.mark.parametrize(
    "given",
    [{"number": "x"}, {"number": "-2"}, {"key": "a b"}, {"product": "a/b"}, {"since": "x"}, {"until": "x"}],
)
def test_a_wrong_parameter_is_invalid(given: dict[str, str]) -> None:
    with pytest.raises(Invalid):
        parse_selection(given)


def test_a_day_is_of_the_calendar_and_of_the_years_that_are_meant() -> None:
    assert parse_day("2026-11-28") == date(2026, 11, 28)
    for text in ("2026-02-30", "20261128", "2026-11-28T17", "today", ""):
        with pytest.raises(Invalid, match=f"'{text}' is not a day such as 2026-11-28"):
            parse_day(text)
    with pytest.raises(Invalid, match="from is not a day such as 2026-11-28"):
        parse_day("1969-12-31", "from", range(1970, 9999))


def test_a_day_ends_before_the_next_one_and_the_last_has_an_end_too() -> None:
    assert day_after(date(2026, 12, 31)) == "2027-01-01"
    assert day_after(date.max) > "9999-12-31T23:59:59.999Z"
