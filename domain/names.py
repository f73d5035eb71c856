"""Names of new products: people can see them, type them and tell them apart.

Queries and buys take any name (`domain.values.parse_name`); these rules are for the owner, who names a new product.
They need the regex module: it has all properties of Unicode, and of a newer Unicode than Python's.
"""

import unicodedata

import regex

from domain.errors import Invalid
from domain.values import parse_name

# Sequences of emoji, by Unicode's UTS #51. A digit counts as an emoji as well, but looks like one only as a keycap.
_EMOJI = r"[\p{Emoji}--[0-9#*]]"
_ELEMENT = rf"{_EMOJI}(?:\p{{Emoji_Modifier}}|[\uFE0E\uFE0F])?"
_KEYCAP = r"[0-9#*]\uFE0F\u20E3"
_FLAG_WITH_TAGS = r"\U0001F3F4[\U000E0030-\U000E0039\U000E0061-\U000E007A]{3,6}\U000E007F"

# Joiners shape letters in the contexts of RFC 5892, appendix A.1 and A.2; in Bengali and Kannada also before a virama.
_JOINED = r"(?<=\p{ccc=Virama})[\u200C\u200D]"
_NOT_JOINED = r"(?<=[\p{jt=L}\p{jt=D}]\p{jt=T}*)\u200C(?=\p{jt=T}*[\p{jt=R}\p{jt=D}])"
_BEFORE_VIRAMA = r"(?<=\p{L})\u200D(?=\p{ccc=Virama})"

# Variation selectors of characters whose script defines variants.
_IDEOGRAPH = r"(?<=\p{Unified_Ideograph})[\U000E0100-\U000E01EF]"
_MONGOLIAN = r"(?<=[\p{Script=Mongolian}&&\p{L}])[\u180B-\u180D\u180F]"

# Invisible characters in the contexts where they change what people see.
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

# Default_Ignorable_Code_Point has invisible characters of all categories, such as Hangul fillers, which are letters. Of
# the format characters, signs such as the Arabic number sign are visible.
_INVISIBLE = r"[[\p{Default_Ignorable_Code_Point}\p{C}\p{Zl}\p{Zp}]--\p{Prepended_Concatenation_Mark}]"
# Blanks that look like a space. The ideographic space, which Japanese keyboards have, is as wide as a letter.
_LIKE_A_BLANK = r"[\p{Zs}--[\u0020\u3000]]"
# Visible by their category: the Braille blank, a notehead and a filler without ink, and two signs of a lost character.
_WITHOUT_INK = r"[\u2800\U0001D159\U00016FE4\uFFFC\uFFFD]"
_HIDDEN = regex.compile(f"(?V1){_INVISIBLE}|{_LIKE_A_BLANK}|{_WITHOUT_INK}")

_MARK_WITHOUT_LETTER = regex.compile(r"(?:^|\p{Z})(\p{M})")
_IGNORABLE = regex.compile(r"\p{Default_Ignorable_Code_Point}")
_BLANKS = regex.compile(r"\p{Z}+")


def parse_new_name(text: str) -> str:
    """Returns the text as the name of a new product, in NFC. Raises Invalid, which names the character."""
    name = parse_name(text)
    if name != name.strip():
        # A shopper cannot see the blank, and does not find the product under the name without it.
        raise Invalid(f"the product name {name!r} begins or ends with a blank")
    if name in (".", ".."):
        raise Invalid(f"the product name {name!r} cannot be asked for: browsers and curl take it out of a path")
    # A letter replaces each sequence, so that a character after it still has one before it.
    if hidden := _HIDDEN.search(_VISIBLE_SEQUENCE.sub("x", name)):
        raise Invalid(f"the product name has {_called(hidden[0])}, which is not seen, or not by everybody")
    if mark := _MARK_WITHOUT_LETTER.search(name):
        raise Invalid(f"the product name has {_called(mark[1])} without a letter to stand on")
    return name


def looks(name: str) -> str:
    """Returns the same text for names that look alike: without joiners and variants, with single blanks."""
    if name.isascii() and "  " not in name:
        return name
    return _BLANKS.sub(" ", _IGNORABLE.sub("", name))


def _called(character: str) -> str:
    return f"U+{ord(character):04X} {unicodedata.name(character, '')}".rstrip()
