"""Reads what a page's form, a program's JSON or a query string asks for, each as text that is parsed once."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

from domain.errors import Invalid
from domain.selections import parse_day
from domain.values import parse_key, parse_whole_number
from wsgi_apps.base import Request
from wsgi_apps.sessions import TOKEN_FIELD
from wsgi_apps.wire import parse_object, require_known

T = TypeVar("T")

KEY_FIELD = "key"
# Rows of a page, unless the query says how many.
PAGE_ROWS = 50
# No clock of a store was set to a year outside of these, and the calendar has days before and behind them.
YEARS = range(1970, 9999)


@contextmanager
def blaming(field: str) -> Iterator[None]:
    """Makes an Invalid within the block, which names no field yet, name this one."""
    try:
        yield
    except Invalid as error:
        raise Invalid(error.message, error.field or field) from None


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields that were sent, each as text; a field that was not sent is empty. `key` is the idempotency key."""

    key: str
    values: dict[str, str]

    def __getitem__(self, name: str) -> str:
        return self.values.get(name, "")

    def parse(self, name: str, parse: Callable[[str], T]) -> T:
        """Returns what `parse` makes of a field. Raises its Invalid, which then names the field."""
        with blaming(name):
            return parse(self[name])


def read_fields(request: Request, *names: str) -> Fields:
    """Returns the fields of a form, or the members of a JSON object. Raises Invalid.

    A form has its key as a field, made with its page. A program sends it as the Idempotency-Key.
    """
    if request.has_form:
        values = request.form_fields(KEY_FIELD, TOKEN_FIELD, *names)
    else:
        values = _json_members(request.whole_body, (KEY_FIELD, *names))
    key = values.get(KEY_FIELD)
    return Fields(request.idempotency_key if key is None else parse_key(key, "the key of the form"), values)


def _json_members(body: bytes, names: Sequence[str]) -> dict[str, str]:
    """Returns the members of a JSON object. Numbers stay as they were written, so that no price is rounded."""
    members = parse_object(body, number=str)
    require_known(members, names)
    for name, member in members.items():
        if not isinstance(member, str):
            raise Invalid(f"{name} is neither a text nor a number")
    return members


def read_query(request: Request, *names: str) -> dict[str, str]:
    """Returns the parameters that are not empty, without blanks around them. Raises Invalid.

    A browser sends the empty fields of a search too.
    """
    return {name: text for name, value in request.parameters(*names).items() if (text := value.strip())}


def parse_day_range(query: Mapping[str, str], last: date | None = None) -> tuple[date | None, date | None]:
    """Returns the days `from` and `to` of a query string, or `last` where it has no `to`. Raises Invalid."""
    begin = parse_day(query["from"], "from", YEARS) if "from" in query else None
    end = parse_day(query["to"], "to", YEARS) if "to" in query else last
    if begin and end and end < begin:
        raise Invalid(f"to, {end}, is before from, {begin}")
    return begin, end


def parse_entry(query: Mapping[str, str], name: str) -> int | None:
    """Returns the number of an entry in a query string; None without it. Raises Invalid."""
    if name not in query:
        return None
    number = parse_whole_number(query[name])
    if number is None:
        raise Invalid(f"{name} is not the number of an entry")
    return number
