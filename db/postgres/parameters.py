"""Translates the parameters of a statement: the house writes `:name`, as SQLite does, and psycopg reads `%(name)s`."""

import re
from functools import cache

# Texts in which a colon is no parameter: literals, quoted names, comments, dollar-quoted bodies, and casts.
_TOKEN = re.compile(
    r"""
    '(?:[^']|'')*' | "(?:[^"]|"")*" | --[^\n]* | /\*.*?\*/ | (\$\w*\$).*?\1 | ::
    | (?P<percent>%) | :(?P<name>[A-Za-z_]\w*)
    """,
    re.VERBOSE | re.DOTALL,
)


@cache  # the texts are the constants of this program
def to_psycopg(sql: str) -> bytes:
    """Returns the statement as psycopg reads it. Literals, quoted names, comments and casts stay as they are."""
    return _TOKEN.sub(_translate, sql).encode()


def _translate(token: re.Match[str]) -> str:
    if name := token["name"]:
        return f"%({name})s"
    return token[0].replace("%", "%%")
