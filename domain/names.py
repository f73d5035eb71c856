"""Names of new products: what people can see, type and tell apart.

A shopper may ask for any name (`domain.values.parse_name`). Only the owner gives one, so this is no part of a query
or a buy. Python knows few properties of Unicode; the regex module knows them all, and by a newer Unicode.
"""

import unicodedata

import regex

from domain.errors import Invalid
from domain.values import parse_name

# Emoji are in sequences by Unicode's UTS #51. A digit is an emoji too, but only as a keycap does it look like one.
_EMOJI = r"[\p{Emoji}--[0-9#*]]"
_ELEMENT = rf"{_EMOJI}(?:\p{{Emoji_Modifier}}|[\uFE0E\uFE0F])?"
_KEYCAP = r"[0-9#*]\uFE0F\u20E3"
_FLAG_WITH_TAGS = r"\U0001F3F4[\U000E0030-\U000E0039\U000E0061-\U000E007A]{3,6}\U000E007F"

# Joiners shape letters where RFC 5892, appendix A.1 and A.2, has them; and, in Bengali and Kannada, before a virama.
_JOINED = r"(?<=\p{ccc=Virama})[\u200C\u200D]"
_NOT_JOINED = r"(?<=[\p{jt=L}\p{jt=D}]\p{jt=T}*)\u200C(?=\p{jt=T}*[\p{jt=R}\p{jt=D}])"
_BEFORE_VIRAMA = r"(?<=\p{L})\u200D(?=\p{ccc=Virama})"

# Forms of one character, which its script defines.
_IDEOGRAPH = r"(?<=\p{Unified_Ideograph})[\U000E0100-\U000E01EF]"
_MONGOLIAN = r"(?<=[\p{Script=Mongolian}&&\p{L}])[\u180B-\u180D\u180F]"

# Characters that show nothing by themselves, where they do change what is seen.
_AT_WORK = regex.compile(
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

# Default_Ignorable_Code_Point has the invisible of all categories, such as Hangul fillers, which are letters. Of the
# other categories, signs such as the Arabic number sign are seen, although they are format characters.
_NOT_SEEN = r"[[\p{Default_Ignorable_Code_Point}\p{C}\p{Zl}\p{Zp}]--\p{Prepended_Concatenation_Mark}]"
# Blanks that nobody can tell from a blank. The ideographic one, which Japanese keyboards have, is as wide as a letter.
_LIKE_A_BLANK = r"[\p{Zs}--[\u0020\u3000]]"
# By their category visible: the Braille blank, a notehead and a filler without ink, and two signs of a lost character.
_WITHOUT_INK = r"[\u2800\U0001D159\U00016FE4\uFFFC\uFFFD]"
_HIDDEN = regex.compile(f"(?V1){_NOT_SEEN}|{_LIKE_A_BLANK}|{_WITHOUT_INK}")

_MARK_WITHOUT_LETTER = regex.compile(r"(?:^|\p{Z})(\p{M})")
_IGNORABLE = regex.compile(r"\p{Default_Ignorable_Code_Point}")
_BLANKS = regex.compile(r"\p{Z}+")


def parse_new_name(text: str) -> str:
    """`parse_name` for a product that is to be sold from now on. Raises Invalid, which names the character."""
    name = parse_name(text)
    if name != name.strip():
        # Nobody sees it, and nobody who types the name finds the product.
        raise Invalid(f"the product name {name!r} begins or ends with a blank")
    if name in (".", ".."):
        raise Invalid(f"the product name {name!r} cannot be asked for: browsers and curl take it out of a path")
    # A letter stands for each sequence, so that what is behind it is still behind something.
    if hidden := _HIDDEN.search(_AT_WORK.sub("x", name)):
        raise Invalid(f"the product name has {_called(hidden[0])}, which is not seen, or not by everybody")
    if mark := _MARK_WITHOUT_LETTER.search(name):
        raise Invalid(f"the product name has {_called(mark[1])} without a letter to stand on")
    return name


def looks(name: str) -> str:
    """The same text for all names that people can hardly tell apart: without joiners and forms, with single blanks."""
    if name.isascii() and "  " not in name:
        return name
    return _BLANKS.sub(" ", _IGNORABLE.sub("", name))


def _called(character: str) -> str:
    return f"U+{ord(character):04X} {unicodedata.name(character, '')}".rstrip()
