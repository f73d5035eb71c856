"""The secret by which a tier behind knows the tiers before it. conf/settings.py reads it from the environment."""

import hmac
import re
from dataclasses import dataclass, field

# 32 characters of a random generator are more than anybody can guess; a header has room for as many as 256.
MIN_CHARACTERS = 32
MAX_CHARACTERS = 256

_VISIBLE_ASCII = re.compile(r"[\x21-\x7e]*")


@dataclass(frozen=True, slots=True)
class Secrets:
    """The values that a tier accepts; the first is the one that it sends. There are two while one replaces another.

    They are never shown: neither by repr, which ends up in logs, nor in an error.
    """

    values: tuple[str, ...] = field(repr=False)

    @property
    def authorization(self) -> str:
        """The Authorization header of a call to another tier."""
        return f"Bearer {self.values[0]}"

    def accept(self, authorization: str) -> bool:
        """Whether this Authorization header carries one of the values. The time it takes does not tell which, or how
        much of it was right."""
        scheme, _, given = authorization.partition(" ")
        # compare_digest takes text only when it is ASCII, and a header may be anything in Latin-1.
        fits = [hmac.compare_digest(given.encode("latin-1"), value.encode()) for value in self.values]
        return scheme.lower() == "bearer" and any(fits)


def parse_secrets(text: str) -> Secrets:
    """The values in `text`, with commas or line ends between them. Raises ValueError, which shows none of them."""
    # Editors put a byte order mark in front, and neither they nor their users show it.
    values = tuple(value for value in re.split(r"[,\r\n]+", text.removeprefix("\ufeff")) if value)
    if not values:
        raise ValueError("is empty")
    for value in values:
        if not _VISIBLE_ASCII.fullmatch(value):
            raise ValueError("has a character that is not visible ASCII, such as a space")
        if not MIN_CHARACTERS <= len(value) <= MAX_CHARACTERS:
            raise ValueError(f"has a value that is not {MIN_CHARACTERS} to {MAX_CHARACTERS} characters long")
    return Secrets(values)
