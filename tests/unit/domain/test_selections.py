"""Which buys are meant: parsed as people and programs name them."""

import pytest

from domain.errors import Invalid
from domain.owner import REFUSED_NUMBER, Selection
from domain.selections import encode_selection, parse_moment, parse_selection

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
