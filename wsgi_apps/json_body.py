"""JSON from outside, read strictly.

The standard parser takes NaN, and the last of two equal keys. Here both are Invalid, like true in a number's place.
"""

import json
from typing import Any, NoReturn, TypeVar

from domain.errors import Invalid

T = TypeVar("T")


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object in `body`. Raises Invalid."""
    try:
        value = json.loads(body.decode("utf-8"), object_pairs_hook=_object, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise Invalid(f"the body is not JSON: {error}") from None
    return check(value, dict, "the body")


def check(value: object, kind: type[T], what: str) -> T:
    """The same value. Raises Invalid, naming `what`, unless it is exactly a `kind`: true is no int here."""
    if type(value) is not kind:
        raise Invalid(f"{what} is not {_JSON_NAMES[kind]}")
    return value


def members(value: object, what: str, **kinds: type) -> list[Any]:
    """The members of a JSON object in the order of `kinds`, which must be all of them. Raises Invalid."""
    given = check(value, dict, what)
    if given.keys() != kinds.keys():
        raise Invalid(f"{what} has not exactly the members {', '.join(kinds)}")
    return [check(given[name], kind, f"{what}: {name}") for name, kind in kinds.items()]


_JSON_NAMES: dict[type, str] = {
    dict: "an object",
    list: "an array",
    str: "a string",
    int: "a whole number",
    bool: "a boolean",
}


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a key stands twice in an object")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
