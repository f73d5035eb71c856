"""The parsers of text from outside: names, quantities, prices, keys."""

import sys
import unicodedata

import pytest

from domain.errors import Invalid
from domain.values import parse_key, parse_name, parse_price, parse_quantity, parse_stock, parse_whole_number


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
def test_the_error_of_a_bad_name_says_its_problem(text: str, problem: str) -> None:
    with pytest.raises(Invalid, match=problem):
        parse_name(text)


def test_a_name_has_any_character_but_controls_surrogates_and_the_slash() -> None:
    refused = []
    for code_point in range(sys.maxunicode + 1):
        try:
            parse_name(chr(code_point))
        except Invalid:
            refused.append(chr(code_point))
    everything = map(chr, range(sys.maxunicode + 1))
    assert refused == [text for text in everything if unicodedata.category(text) in ("Cc", "Cs") or text == "/"]


@pytest.mark.parametrize(
    ("text", "price_cents"),
    [("25.99", 2599), ("25.9", 2590), ("0", 0), ("007", 700), ("0" * 5000 + "1", 100), ("1000000000", 100_000_000_000)],
)
def test_a_price_is_a_number_with_at_most_two_decimals(text: str, price_cents: int) -> None:
    assert parse_price(text) == price_cents


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not a number such as"),
        ("1,5", "not a number such as"),
        ("1.", "not a number such as"),
        (".5", "not a number such as"),
        ("--1", "not a number such as"),
        ("\uff11", "not a number such as"),
        ("-1", "below 0"),
        ("-0.50", "below 0"),
        ("1.999", "more than 2 digits after the point"),
        ("1000000000.01", "above 1,000,000,000"),
        ("12345678901", "above 1,000,000,000"),
        ("9" * 5000, "above 1,000,000,000"),
    ],
)
def test_the_error_of_a_bad_price_says_its_problem(text: str, problem: str) -> None:
    with pytest.raises(Invalid, match=f"the price .* {problem}"):
        parse_price(text)


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


@pytest.mark.parametrize("text", ["", "x" * 129, "a b", "\xe9", "a\n", "\x7f", "a,b", ","])
def test_a_bad_key_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="the Idempotency-Key is"):
        parse_key(text)


@pytest.mark.parametrize(
    ("text", "number"), [("9" * 18, 10**18 - 1), ("9" * 19, None), ("0" * 9 + "9" * 18, 10**18 - 1)]
)
def test_a_whole_number_fits_an_integer_of_the_database(text: str, number: int | None) -> None:
    assert parse_whole_number(text) == number


@pytest.mark.parametrize(("text", "least"), [("0", 0), ("1000000000", 0), ("1", 1), ("007", 1)])
def test_a_stock_is_a_whole_number(text: str, least: int) -> None:
    assert parse_stock(text, least) == int(text)


@pytest.mark.parametrize(("text", "least"), [("1000000001", 0), ("-1", 0), ("0", 1), ("", 0), ("1.0", 0)])
def test_a_bad_stock_is_refused(text: str, least: int) -> None:
    with pytest.raises(Invalid, match=f"is not a whole number from {least} to 1,000,000,000"):
        parse_stock(text, least)
