"""Emblems: the same for the same name, well-formed, readable, and without styles of their own."""

import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import Invalid
from domain.values import parse_name
from wsgi_apps.pages.shop.emblem import _PALETTES, draw_emblem


def letter(name: str) -> str | None:
    """Returns the letter on the block of an emblem."""
    return ElementTree.fromstring(draw_emblem(name)).findtext("text")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Tux", "T"),
        ("tux", "T"),
        ("ßtraße", "ß"),  # its capital is two letters
        ('"><script>alert(1)</script>', "S"),
        ("100 %", "1"),
        ("...", "★"),
        ("דובי", "ד"),
        ("ぬいぐるみ", "ぬ"),
        ("\U0001f427\U0001f427", "\U0001f427"),
        ("\U0001f468\u200d\U0001f469\u200d\U0001f467 family", "\U0001f468\u200d\U0001f469\u200d\U0001f467"),
        ("Z" + "\u0300" * 60 + "y", "Y"),  # a letter under sixty accents is none to read
    ],
)
def test_the_block_has_the_first_letter_that_people_see(name: str, shown: str) -> None:
    assert letter(name) == shown


@given(st.text(min_size=1, max_size=64))
def test_the_emblem_of_any_name_is_well_formed_and_has_no_style(name: str) -> None:
    try:
        name = parse_name(name)
    except Invalid:
        return
    svg = draw_emblem(name)
    assert svg == draw_emblem(name)
    for element in ElementTree.fromstring(svg).iter():
        assert element.tag in {"svg", "path", "g", "circle", "ellipse", "rect", "text"}
        assert "style" not in element.attrib
        assert not [attribute for attribute in element.attrib if attribute.startswith("on")]


def test_names_have_many_emblems() -> None:
    assert len({draw_emblem(f"Toy {number}").replace(str(number), "") for number in range(100)}) > 50


def luminance(color: str) -> float:
    """Returns the relative luminance of a colour such as #b4420e, as WCAG defines it."""
    channels = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("palette", _PALETTES)
def test_the_letter_stands_out_from_its_block(palette: tuple[str, str, str]) -> None:
    assert 1.05 / (luminance(palette[2]) + 0.05) >= 4.5
