"""Names of new products: invisible characters are refused, but for those that scripts and emoji need."""

import re
import unicodedata
from collections.abc import Iterator

import pytest
import regex

from domain.errors import Invalid
from domain.names import parse_new_name, visible_form
from domain.values import parse_name


@pytest.mark.parametrize("text", [" Cat", "Cat ", "Cat\u00a0", " "])
def test_a_blank_at_an_end_of_a_new_name_is_refused(text: str) -> None:
    """A product that has such a name already is still found by it."""
    assert parse_name(text) == text
    with pytest.raises(Invalid, match="begins or ends with a blank"):
        parse_new_name(text)


@pytest.mark.parametrize("text", [".", ".."])
def test_a_new_name_is_none_that_browsers_take_out_of_a_path(text: str) -> None:
    assert parse_name(text) == text
    with pytest.raises(Invalid, match="browsers and curl take it out of a path"):
        parse_new_name(text)


def test_a_new_name_may_have_blanks_and_dots_within() -> None:
    assert parse_new_name("a . b") == "a . b"
    assert parse_new_name("Blue Whale") == "Blue Whale"


# A refused name, and the code point that the error names.
UNSEEN = [
    ("Tux\u200b", "U+200B ZERO WIDTH SPACE"),
    ("\ufeffTux", "U+FEFF ZERO WIDTH NO-BREAK SPACE"),
    ("Tu\u2060x", "U+2060 WORD JOINER"),
    ("T\u00adux", "U+00AD SOFT HYPHEN"),
    ("\u202exuT", "U+202E RIGHT-TO-LEFT OVERRIDE"),
    ("Tux\u2067", "U+2067 RIGHT-TO-LEFT ISOLATE"),
    ("Tux\u061c", "U+061C ARABIC LETTER MARK"),
    ("Tux\u2028Bear", "U+2028 LINE SEPARATOR"),
    ("Tux\u2029Bear", "U+2029 PARAGRAPH SEPARATOR"),
    ("\u115f", "U+115F HANGUL CHOSEONG FILLER"),
    ("a\u1160b", "U+1160 HANGUL JUNGSEONG FILLER"),
    ("\u3164", "U+3164 HANGUL FILLER"),
    ("\uffa0", "U+FFA0 HALFWIDTH HANGUL FILLER"),
    ("a\u17b4", "U+17B4 KHMER VOWEL INHERENT AQ"),
    ("a\u034f", "U+034F COMBINING GRAPHEME JOINER"),
    ("Tux\ufe0f", "U+FE0F VARIATION SELECTOR-16"),
    ("1\ufe0f", "U+FE0F VARIATION SELECTOR-16"),
    ("x\U000e0100", "U+E0100 VARIATION SELECTOR-17"),
    ("Tux\U000e0041", "U+E0041 TAG LATIN CAPITAL LETTER A"),
    ("\U0001f43b\U000e0067\U000e007f", "U+E0067 TAG LATIN SMALL LETTER G"),
    ("Tux\u0378", "U+0378"),
    ("Tux\uffff", "U+FFFF"),
    ("Tux\ufdd0", "U+FDD0"),
    ("Tux\ue000", "U+E000"),
    ("\U0010fffd", "U+10FFFD"),
    ("\ufffc", "U+FFFC OBJECT REPLACEMENT CHARACTER"),
    ("T\ufffdx", "U+FFFD REPLACEMENT CHARACTER"),
    ("\u2800", "U+2800 BRAILLE PATTERN BLANK"),
    ("a\u00a0b", "U+00A0 NO-BREAK SPACE"),
    ("a\u2003b", "U+2003 EM SPACE"),
    ("\U0001d159", "U+1D159 MUSICAL SYMBOL NULL NOTEHEAD"),
    ("T\u200dux", "U+200D ZERO WIDTH JOINER"),
    ("\U0001f469\u200d", "U+200D ZERO WIDTH JOINER"),
    ("\U0001f469\u200d\u200d\U0001f680", "U+200D ZERO WIDTH JOINER"),
    ("T\u200cux", "U+200C ZERO WIDTH NON-JOINER"),
    ("\u0645\u06cc\u200c", "U+200C ZERO WIDTH NON-JOINER"),
    ("\u0301", "U+0301 COMBINING ACUTE ACCENT"),
    ("a \u0301", "U+0301 COMBINING ACUTE ACCENT"),
]


@pytest.mark.parametrize(("text", "called"), UNSEEN, ids=[ascii(text) for text, _ in UNSEEN])
def test_the_error_of_a_name_with_an_invisible_character_has_its_code_point(text: str, called: str) -> None:
    with pytest.raises(Invalid, match=rf"the product name has {re.escape(called)}(,| without)"):
        parse_new_name(text)
    assert parse_name(text) == unicodedata.normalize("NFC", text), "a query for it is answered, with product not found"


SEEN = [
    "B\u00e4r",
    "a  b",
    "E=mc\u00b2",
    "\u6771\u4eac\u3000\u30bf\u30ef\u30fc",
    "\u0928\u092e\u0938\u094d\u0924\u0947",  # Hindi: a virama within
    "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",  # Persian, with ZWNJ between joining letters
    "\u0915\u094d\u200c\u0937",  # Hindi, ZWNJ behind a virama
    "\u0d9a\u0dca\u200d\u0dc2",  # Sinhala, ZWJ behind a virama
    "\u09b0\u200d\u09cd\u09af\u09be\u0995\u09c7\u099f",  # Bengali "racket", ZWJ before a virama
    "\u05d3\u05d5\u05d1",  # Hebrew needs no marks of direction
    "\u0600\u0661",  # the Arabic number sign is a format character, and seen
    "x\u0301",  # a mark on a letter, for which there is no character of its own
    "\u845b\U000e0100",  # a form of an ideograph
    "\u1820\u180b",  # a form of a Mongolian letter
    "\U0001f469\u200d\U0001f680",  # astronaut
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 family",
    "\U0001f469\U0001f3fd\u200d\u2764\ufe0f\u200d\U0001f48b\u200d\U0001f468\U0001f3fb",  # kiss, two skin tones
    "\u2764\ufe0f",  # heart, as emoji
    "\u231a\ufe0e",  # watch, as text
    "1\ufe0f\u20e3",  # keycap
    "\U0001f1e9\U0001f1ea",  # flag of two letters
    "\U0001f3f3\ufe0f\u200d\U0001f308",  # rainbow flag
    "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",  # flag of England, by tags
    "\U0001fae9",  # newer than this Python
]


@pytest.mark.parametrize("text", SEEN, ids=[ascii(text) for text in SEEN])
def test_a_new_name_may_have_the_characters_that_scripts_and_emoji_need(text: str) -> None:
    assert parse_new_name(text) == text


def every(properties: str) -> Iterator[str]:
    pattern = regex.compile(f"(?V1)[{properties}]")
    return (character for code in range(0x110000) if pattern.match(character := chr(code)))


def test_a_new_name_has_no_ignorable_character_by_itself() -> None:
    ignorable = list(every(r"\p{Default_Ignorable_Code_Point}\p{Bidi_Control}\p{Noncharacter_Code_Point}"))
    assert len(ignorable) > 4_000
    for character in ignorable:
        with pytest.raises(Invalid):
            parse_new_name(f"a{character}b")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("\u2b50", "\u2b50\ufe0f"),
        ("a  b", "a b"),
        ("\u845b", "\u845b\U000e0100"),
        ("\u0915\u094d", "\u0915\u094d\u200c"),
        ("\u6771 \u4eac", "\u6771\u3000\u4eac"),
    ],
)
def test_names_that_differ_only_in_hardly_visible_characters_look_alike(one: str, other: str) -> None:
    assert parse_new_name(one) != parse_new_name(other)
    assert visible_form(one) == visible_form(other)


@pytest.mark.parametrize(("one", "other"), [("Tux", "tux"), ("ab", "a b"), ("B\u00e4r", "Bar"), ("Tux", "Tux 2")])
def test_names_that_people_tell_apart_look_different(one: str, other: str) -> None:
    assert visible_form(one) != visible_form(other)
