"""Parses which buys of the order log are meant, as a query string or a command line names them."""

import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta

from domain.errors import Invalid
from domain.owner import REFUSED_NUMBER, Selection
from domain.values import parse_key, parse_name, parse_whole_number

# The names of the parameters.
PARAMETERS = ("number", "product", "key", "since", "until")

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9]{2}(?::[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{3})?)?)?)?)Z?")


def parse_selection(given: Mapping[str, str]) -> Selection:
    """Returns the selection that these parameters name. A missing or empty one means any. Raises Invalid."""
    texts = {name: text for name, text in given.items() if text}
    return Selection(
        number=_parse_number(texts["number"]) if "number" in texts else None,
        product=parse_name(texts["product"]) if "product" in texts else None,
        key=parse_key(texts["key"], called="the key") if "key" in texts else None,
        since=parse_moment(texts["since"]) if "since" in texts else None,
        until=parse_moment(texts["until"]) if "until" in texts else None,
    )


def encode_selection(selection: Selection) -> dict[str, str]:
    """Returns the parameters of the selection, for `parse_selection`."""
    values = (selection.number, selection.product, selection.key, selection.since, selection.until)
    return {name: str(value) for name, value in zip(PARAMETERS, values, strict=True) if value is not None}


def parse_moment(text: str) -> str:
    """Returns a day, or a time of one, such as 2026-11-28T17:30, as the order log compares it. Raises Invalid.

    It is UTC, and means its first moment.
    """
    match = _MOMENT.fullmatch(text)
    try:
        if match is not None:
            datetime.fromisoformat(match[1])  # raises for a day that does not exist
            return match[1]
    except ValueError:
        pass
    raise Invalid(f"{text!r} is not a day such as 2026-11-28, or a time of one such as 2026-11-28T17:30, in UTC")


def parse_day(text: str, called: str = "", years: range = range(date.min.year, date.max.year + 1)) -> date:
    """Returns a day such as 2026-11-28 of these years. Raises Invalid, which names it as `called`, else by its text."""
    try:
        if _DAY.fullmatch(text) and (day := date.fromisoformat(text)).year in years:
            return day
    except ValueError:  # there is no such day
        pass
    raise Invalid(f"{called or repr(text)} is not a day such as 2026-11-28")


def day_after(day: date) -> str:
    """Returns the first moment behind a day, as Selection.until takes it."""
    # Behind the last day of the calendar is no other. This text is above all times of it.
    return "9999-12-31T24" if day == date.max else (day + timedelta(days=1)).isoformat()


def _parse_number(text: str) -> int:
    number = REFUSED_NUMBER if text == str(REFUSED_NUMBER) else parse_whole_number(text)
    if number is None:
        raise Invalid("the number is not that of an order, or -1 for the refused buys")
    return number
