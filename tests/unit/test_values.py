import pytest

from domain.errors import Invalid
from domain.values import parse_key, parse_name, parse_new_name, parse_quantity


@pytest.mark.parametrize(
    "text", ["Tux", "Grüße, Welt", "\u4f01\u9d5d", "a b", "..", "x" * 64, "%41", "O'Neill", "👩‍🚀"]
)
def test_a_name_is_any_text(text: str) -> None:
    assert parse_name(text) == text


def test_a_name_is_compared_in_nfc() -> None:
    assert parse_name("Cafe\u0301") == "Caf\u00e9"


def test_a_name_is_measured_in_nfc() -> None:
    assert len(parse_name("e\u0301" * 64)) == 64


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "empty"),
        ("x" * 65, "longer than 64"),
        ("a\x00b", "control"),
        ("a\nb", "control"),
        ("a\x7fb", "control"),
        ("a\x85b", "control"),
        ("a/b", "'/'"),
        ("a\ud800", "control"),
    ],
)
def test_a_bad_name_is_told_its_problem(text: str, problem: str) -> None:
    with pytest.raises(Invalid, match=problem):
        parse_name(text)


@pytest.mark.parametrize("text", [" Tux", "Tux ", "\u00a0Tux", ".", ".."])
def test_a_new_name_is_one_that_can_be_seen_and_asked_for(text: str) -> None:
    assert parse_name(text) == text, "a shopper may ask, and is told that there is none"
    with pytest.raises(Invalid, match="the product name"):
        parse_new_name(text)
    assert parse_new_name("a . b") == "a . b"


@pytest.mark.parametrize(("text", "number"), [("1", 1), ("1000000", 1_000_000), ("007", 7), ("0" * 5000 + "1", 1)])
def test_a_quantity_is_a_whole_number(text: str, number: int) -> None:
    assert parse_quantity(text) == number


@pytest.mark.parametrize(
    "text",
    ["", "0", "-1", "+1", "1.0", "1e3", " 1", "1 ", "1000001", "9" * 18, "9" * 5000, "\uff11", "\u0661", "1_0", "x"],
)
def test_a_bad_quantity_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="quantity"):
        parse_quantity(text)


@pytest.mark.parametrize("text", ["a", "!~", "x" * 128])
def test_a_key_is_visible_ascii(text: str) -> None:
    assert parse_key(text) == text


@pytest.mark.parametrize("text", ["", "x" * 129, "a b", "\xe9", "a\n", "\x7f", "a,b"])
def test_a_bad_key_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="Idempotency-Key"):
        parse_key(text)
