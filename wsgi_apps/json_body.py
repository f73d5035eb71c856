"""JSON of another tier, read strictly.

An array has no member that could stand in it twice. Of the numbers, a standard parser takes NaN; whoever checks that a
number is an int refuses it, like true in a number's place.
"""

import json
from typing import Any, TypeVar

from domain.errors import Invalid

T = TypeVar("T")


def parse_array(body: bytes, most: int, what: str) -> list[Any]:
    """The JSON array in `body`, of at most so many elements. Raises Invalid, naming `what` they are."""
    try:
        value = json.loads(str(body, "utf-8"))
    except (ValueError, RecursionError) as error:
        raise Invalid(f"the body is not JSON: {error}") from None
    rows: list[Any] = check(value, list, "the body")
    if len(rows) > most:
        raise Invalid(f"more than {most} {what} in a call")
    return rows


def check(value: object, kind: type[T], what: str) -> T:
    """The same value. Raises Invalid, naming `what`, unless it is exactly a `kind`: true is no int here."""
    if type(value) is not kind:
        raise Invalid(f"{what} is not {_JSON_NAMES[kind]}")
    return value


_JSON_NAMES: dict[type, str] = {
    list: "an array",
    str: "a string",
    int: "a whole number",
    bool: "a boolean",
}
