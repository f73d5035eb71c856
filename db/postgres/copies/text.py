"""PostgreSQL's text format of COPY: a line for each row, with tabs between its values.

NULL is \\N, and a backslash stands before each character that would end a value or a line
(https://www.postgresql.org/docs/current/sql-copy.html). The same rows always give the same bytes.
"""

import re
from collections.abc import Sequence

_ESCAPED = re.compile(r"\\(.)")
_MEANING = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_ESCAPES = str.maketrans({"\\": "\\\\", **{character: f"\\{letter}" for letter, character in _MEANING.items()}})


def decode_row(line: bytes) -> list[str | None]:
    """Returns the values of a line, which ends with its line break, as texts."""
    values = line[:-1].decode().split("\t")
    if b"\\" not in line:
        return [*values]
    return [None if value == "\\N" else _ESCAPED.sub(_unescape, value) for value in values]


def encode_row(values: Sequence[str | int | None]) -> bytes:
    """Returns a row as PostgreSQL writes it."""
    return ("\t".join(map(_encode, values)) + "\n").encode()


def _encode(value: str | int | None) -> str:
    if value is None:
        return "\\N"
    return value.translate(_ESCAPES) if isinstance(value, str) else str(value)


def _unescape(escaped: re.Match[str]) -> str:
    return _MEANING.get(escaped[1], escaped[1])
