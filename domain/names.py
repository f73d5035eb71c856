"""Checks the name of a new product: people must be able to see it, to type it, and to tell it from other names.

The rules are for the owner, who names new products. Queries and buys take any name (`domain.values.parse_name`). The
regex module knows all properties of characters, and a newer Unicode than Python's own modules.
"""

import unicodedata

import regex

from domain.errors import Invalid
from domain.values import parse_name

# Sequences of emoji (Unicode's UTS #51). Unicode counts digits as emoji, but they look like emoji only as keycaps.
_EMOJI = r"[\p{Emoji}--[0-9#*]]"
_ELEMENT = rf"{_EMOJI}(?:\p{{Emoji_Modifier}}|[\uFE0E\uFE0F])?"
_KEYCAP = r"[0-9#*]\uFE0F\u20E3"
_FLAG_WITH_TAGS = r"\U0001F3F4[\U000E0030-\U000E0039\U000E0061-\U000E007A]{3,6}\U000E007F"

# Joiners, where they shape letters: by RFC 5892, appendix A.1 and A.2, and in Bengali and Kannada before a virama.
_JOINED = r"(?<=\p{ccc=Virama})[\u200C\u200D]"
_NOT_JOINED = r"(?<=[\p{jt=L}\p{jt=D}]\p{jt=T}*)\u200C(?=\p{jt=T}*[\p{jt=R}\p{jt=D}])"
_BEFORE_VIRAMA = r"(?<=\p{L})\u200D(?=\p{ccc=Virama})"

# Variation selectors, after characters whose script defines variants.
_IDEOGRAPH = r"(?<=\p{Unified_Ideograph})[\U000E0100-\U000E01EF]"
_MONGOLIAN = r"(?<=[\p{Script=Mongolian}&&\p{L}])[\u180B-\u180D\u180F]"

# Invisible characters that are allowed: in these contexts they change what people see.
_VISIBLE_SEQUENCE = regex.compile(
    "(?V1)"
    + "|".join(
        [
            _KEYCAP,
            _FLAG_WITH_TAGS,
            rf"{_ELEMENT}(?:\u200D{_ELEMENT})*",
            _JOINED,
            _NOT_JOINED,
            _BEFORE_VIRAMA,
            _IDEOGRAPH,
            _MONGOLIAN,
        ]
    )
)

# Default_Ignorable_Code_Point has invisible characters of all categories, such as Hangul fillers, which are letters.
# Prepended marks, such as the Arabic number sign, are visible, although they are format characters (in C).
_INVISIBLE = r"[[\p{Default_Ignorable_Code_Point}\p{C}\p{Zl}\p{Zp}]--\p{Prepended_Concatenation_Mark}]"
# Blanks that look like a space. The ideographic space is allowed: Japanese keyboards have it, and it is wider.
_LIKE_A_BLANK = r"[\p{Zs}--[\u0020\u3000]]"
# Invisible, although their categories are visible: the Braille blank, a notehead and a filler. The last two characters
# stand for one that was lost.
_WITHOUT_INK = r"[\u2800\U0001D159\U00016FE4\uFFFC\uFFFD]"
_HIDDEN = regex.compile(f"(?V1){_INVISIBLE}|{_LIKE_A_BLANK}|{_WITHOUT_INK}")

_MARK_WITHOUT_LETTER = regex.compile(r"(?:^|\p{Z})(\p{M})")
_IGNORABLE = regex.compile(r"\p{Default_Ignorable_Code_Point}")
_BLANKS = regex.compile(r"\p{Z}+")


def parse_new_name(text: str) -> str:
    """Returns the text as the name of a new product, in NFC. Raises Invalid, which names the character."""
    name = parse_name(text)
    if name != name.strip():
        # Shoppers cannot see such a blank. They would ask for the name without it, and not find the product.
        raise Invalid(f"the product name {name!r} begins or ends with a blank")
    if name in (".", ".."):
        raise Invalid(f"the product name {name!r} cannot be asked for: browsers and curl take it out of a path")
    # A letter replaces each allowed sequence, so that the next character still follows a letter.
    if hidden := _HIDDEN.search(_VISIBLE_SEQUENCE.sub("x", name)):
        raise Invalid(f"the product name has {_describe(hidden[0])}, which is not seen, or not by everybody")
    if mark := _MARK_WITHOUT_LETTER.search(name):
        raise Invalid(f"the product name has {_describe(mark[1])} without a letter to stand on")
    return name


def visible_form(name: str) -> str:
    """Returns the name without invisible characters, and with single blanks. Names that look alike have one form."""
    if name.isascii() and "  " not in name:
        return name
    return _BLANKS.sub(" ", _IGNORABLE.sub("", name))


def _describe(character: str) -> str:
    """Returns the code point and the Unicode name of a character."""
    return f"U+{ord(character):04X} {unicodedata.name(character, '')}".rstrip()
