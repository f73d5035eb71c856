"""Draws an emblem for a product without a picture: a toy block with the first letter of its name.

The same name always has the same emblem. It is an SVG without style attributes, which the pages' policy forbids.
"""

from hashlib import blake2b

import regex
from markupsafe import Markup, escape

# Background, pattern, and block. The letter is white, with a contrast of at least 4.5:1 on each block.
_PALETTES = (
    ("#fde8d7", "#f7c59f", "#b4420e"),
    ("#fdf0c4", "#f2d16b", "#8a5a00"),
    ("#e3f1d8", "#b5d99c", "#3b6e1f"),
    ("#d9f2ea", "#95d6c0", "#0f6b57"),
    ("#d8eefa", "#98ccea", "#125e8a"),
    ("#dfe6fb", "#aebdf0", "#34499e"),
    ("#ebe2fa", "#c9b3ee", "#6a3fa0"),
    ("#fae0ee", "#eeb0d2", "#a02a6d"),
    ("#fbdfe0", "#f0aeb1", "#b3262e"),
    ("#e8e6df", "#c9c3b3", "#5c5544"),
)
# The picture is 120 wide and 90 high.
_PATTERNS = (
    # a sun behind two hills
    '<circle cx="92" cy="24" r="14"/><ellipse cx="22" cy="92" rx="52" ry="30"/>'
    '<ellipse cx="98" cy="96" rx="48" ry="26"/>',
    # balloons
    '<circle cx="18" cy="20" r="13"/><circle cx="102" cy="26" r="17"/><circle cx="26" cy="74" r="19"/>'
    '<circle cx="98" cy="76" r="9"/>',
    # diagonal stripes
    '<path d="M-10 30 40-20M-10 65 75-20M-10 100 110-20M20 105 130-5M55 105 130 30M90 105 130 65" stroke-width="9"/>',
    # dots
    '<path d="M6 12h120M14 34h120M6 56h120M14 78h120" stroke-width="9" stroke-linecap="round"'
    ' stroke-dasharray="0 17"/>',
    # waves
    '<path d="M-15 20q15-18 30 0t30 0 30 0 30 0 30 0M-15 48q15-18 30 0t30 0 30 0 30 0 30 0'
    'M-15 76q15-18 30 0t30 0 30 0 30 0 30 0" fill="none" stroke-width="7"/>',
    # rays
    '<path d="M60 45 0 5v20zM60 45 30-10h20zM60 45 75-10h22zM60 45 130 8v20zM60 45 130 60v22zM60 45 88 100H66z'
    'M60 45 44 100H20zM60 45-10 75V52z" stroke="none"/>',
    # a rainbow
    '<path d="M6 95a54 54 0 0 1 108 0M20 95a40 40 0 0 1 80 0" fill="none" stroke-width="8"/>',
    # confetti
    '<path d="m12 14 12 5-9 9zM95 10l13-2-5 12zM20 64l13 5-10 9zM100 62l11 8-13 5zM56 4l10 4-8 7zM8 40l8 3-6 6z'
    'M108 38l6 8h-10zM60 78l10 6-11 4z" stroke="none"/>',
)
_EMBLEM = Markup(
    '<svg class="emblem" viewBox="0 0 120 90" preserveAspectRatio="xMidYMid slice" aria-hidden="true">'
    '<path fill="{ground}" d="M0 0h120v90H0z"/><g fill="{tint}" stroke="{tint}">{pattern}</g>'
    '<rect x="38" y="23" width="44" height="44" rx="9" fill="{block}" transform="rotate({turn} 60 45)"/>'
    '<text x="60" y="45" dy=".36em" text-anchor="middle" font-size="28" font-weight="700"'
    ' fill="#fff">{letter}</text></svg>'
)
_MAX_TURN = 9  # degrees, to either side

_GRAPHEME = regex.compile(r"\X")
_WITH_INK = regex.compile(r"[\p{L}\p{N}\p{So}\p{Emoji_Presentation}]")
# The longest sequence that people see as one character, a family of four, has eleven.
_MAX_CODE_POINTS = 12
_STAR = "★"


def draw_emblem(name: str) -> Markup:
    """Returns the emblem of a product as an SVG element. It is decoration: the name stands beside it."""
    digest = blake2b(name.encode(), digest_size=4).digest()
    ground, tint, block = _PALETTES[digest[0] % len(_PALETTES)]
    return _EMBLEM.format(
        ground=ground,
        tint=tint,
        block=block,
        pattern=Markup(_PATTERNS[digest[1] % len(_PATTERNS)]),
        turn=digest[2] % (2 * _MAX_TURN + 1) - _MAX_TURN,
        letter=escape(_letter(name)),
    )


def _letter(name: str) -> str:
    """Returns the first character, as people see it, that is a letter, a digit or a picture; else a star."""
    for grapheme in _GRAPHEME.findall(name):
        if _WITH_INK.search(grapheme) and len(grapheme) <= _MAX_CODE_POINTS:
            upper: str = grapheme.upper()
            return upper if len(upper) == len(grapheme) else grapheme
    return _STAR
