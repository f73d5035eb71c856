"""Parses a secret: that of the tiers (TIER_SECRET) or of the owner (OWNER_SECRET), or the text in its file."""

import re
from dataclasses import dataclass, field

# Nobody can guess 32 characters of a random generator. A header has room for as many as 256.
MIN_CHARACTERS = 32
MAX_CHARACTERS = 256

_VISIBLE_ASCII = re.compile(r"[\x21-\x7e]*")


@dataclass(frozen=True, slots=True)
class Secrets:
    """The values that a tier accepts; it sends the first. There are two while one replaces another.

    Neither repr, which ends up in logs, nor an error shows them.
    """

    values: tuple[str, ...] = field(repr=False)


def parse_secrets(text: str) -> Secrets:
    """Returns the values in `text`, separated by commas or line ends. Raises ValueError, whose message shows none."""
    # Some editors put an invisible byte order mark at the start of a file.
    values = tuple(value for value in re.split(r"[,\r\n]+", text.removeprefix("\ufeff")) if value)
    if not values:
        raise ValueError("is empty")
    for value in values:
        if not _VISIBLE_ASCII.fullmatch(value):
            raise ValueError("has a character that is not visible ASCII, such as a space")
        if not MIN_CHARACTERS <= len(value) <= MAX_CHARACTERS:
            raise ValueError(f"has a value that is not {MIN_CHARACTERS} to {MAX_CHARACTERS} characters long")
    return Secrets(values)
