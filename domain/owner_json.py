"""The owner's values as JSON: rows for the calls between tiers, objects for the owner, and the text of a cursor."""

from collections.abc import Callable, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any, Generic, TypeVar

from domain.errors import Invalid
from domain.owner import (
    Backup,
    Books,
    BuysPage,
    HistoryEntry,
    LastAudit,
    LedgerEntry,
    LogCursor,
    LoggedBuy,
    LoggedReturn,
    StockedProduct,
    Takings,
)
from domain.takings import TakingsSum
from domain.values import parse_whole_number

T = TypeVar("T")


class Row(Generic[T]):
    """Encodes a value as an array, in the order of its fields, and decodes it. `types` are those of the fields."""

    def __init__(self, kind: Callable[..., T], *types: type | tuple[type, ...]) -> None:
        self._kind = kind
        self._types = [each if isinstance(each, tuple) else (each,) for each in types]
        self._values = attrgetter(*(field.name for field in fields(kind)))  # type: ignore[arg-type]

    def encode(self, value: T) -> Sequence[Any]:
        """Returns the fields of the value."""
        row: Sequence[Any] = self._values(value)
        return row

    def decode(self, row: Any) -> T:
        """Returns the value in decoded JSON. Raises ValueError for anything else: true is no number here."""
        if type(row) is not list or len(row) != len(self._types):
            raise ValueError(f"not a row of {len(self._types)} fields")
        if any(type(value) not in types for value, types in zip(row, self._types, strict=True)):
            raise ValueError("a field of another type")
        return self._kind(*row)

    def decode_all(self, rows: Any) -> list[T]:
        """Returns the values in decoded JSON. Raises ValueError."""
        if type(rows) is not list:
            raise ValueError("not an array of rows")
        return [self.decode(row) for row in rows]


_TEXT_OR_NONE, _NUMBER_OR_NONE = (str, type(None)), (int, type(None))

STOCKED_PRODUCT = Row(StockedProduct, str, int, int, bool)
LEDGER_ENTRY = Row(LedgerEntry, int, int, int, str, _TEXT_OR_NONE, int, str, _TEXT_OR_NONE)
HISTORY_ENTRY = Row(HistoryEntry, int, str, int, _TEXT_OR_NONE, str)
LOGGED_BUY = Row(LoggedBuy, str, int, str, str, int, _NUMBER_OR_NONE, _TEXT_OR_NONE, int)
LOGGED_RETURN = Row(LoggedReturn, str, str, int, _TEXT_OR_NONE)
LOG_CURSOR = Row(LogCursor, int, str, str)
TAKINGS = Row(Takings, str, str, int, int, int, int)
BACKUP = Row(Backup, str, str, int)
_COUNTS = (int, int, int, int, _TEXT_OR_NONE)
_BOOKS = Row(Books, *_COUNTS, list, (dict, type(None)))


def decode_buys_page(value: Any) -> BuysPage:
    """Returns the page in decoded JSON. Raises LookupError, TypeError or ValueError for any other value."""
    cursor = value["next"]
    return BuysPage(LOGGED_BUY.decode_all(value["data"]), None if cursor is None else LOG_CURSOR.decode(cursor))


def encode_order(buy: LoggedBuy) -> dict[str, Any]:
    """Returns an ended buy as the owner reads it. Its price is null when it was refused."""
    price_cents = buy.price_cents
    total_cents = None if price_cents is None else price_cents * buy.quantity
    return {
        "order_number": str(buy.number),
        "name": buy.product,
        "quantity": buy.quantity,
        "price": None if price_cents is None else price_cents / 100,
        "price_cents": price_cents,
        "total": None if total_cents is None else total_cents / 100,
        "total_cents": total_cents,
        "returned": buy.returned,
        "refused_because": buy.refused_because,
        "key": buy.key,
        "time": buy.time,
    }


def encode_takings_sum(total: TakingsSum) -> dict[str, Any]:
    """Returns a sum of takings as the owner reads it."""
    return {
        "sold": total.sold,
        "revenue_cents": total.sold_cents,
        "returned": total.returned,
        "refunded_cents": total.returned_cents,
        "net_quantity": total.net,
        "net_revenue_cents": total.net_cents,
        "net_revenue": total.net_cents / 100,
    }


def encode_cursor(cursor: LogCursor) -> str:
    """Returns the cursor as one text, for a link or a query string."""
    return f"{cursor.number},{cursor.refused_time},{cursor.refused_key}"


def parse_cursor(text: str) -> LogCursor:
    """Returns the cursor in a text of `encode_cursor`. Raises Invalid."""
    number_text, *refused = text.split(",", 2)  # only a key may have a comma, when it was made by hand
    number = _parse_integer(number_text)
    if number is None or len(refused) != 2 or "\0" in text:
        raise Invalid("the cursor is not the 'next' of a page")
    return LogCursor(number, *refused)


def _parse_integer(text: str) -> int | None:
    """Returns a number that SQLite can hold; None for any other text."""
    if len(text) == 19 and text.isascii() and text.isdigit():  # a cursor above all numbers
        return min(int(text), 2**63 - 1)
    return parse_whole_number(text)


def encode_audit(audit: LastAudit) -> dict[str, Any]:
    """Returns the record of an audit in the form of `decode_audit`. A file has it, which people may read."""
    return {
        "time": audit.time,
        "is_clean": audit.is_clean,
        "last_clean": audit.last_clean,
        "discrepancies": list(audit.discrepancies),
    }


def decode_audit(value: Any) -> LastAudit:
    """Returns the record of an audit in decoded JSON. Raises LookupError, TypeError or ValueError for another value."""
    time, last_clean, is_clean = value["time"], value["last_clean"], value["is_clean"]
    lines = list(value["discrepancies"])
    if type(is_clean) is not bool or not all(type(text) is str for text in (time, last_clean or "", *lines)):
        raise ValueError("not the record of an audit")
    return LastAudit(time, is_clean, lines, last_clean)


def encode_books(books: Books) -> Sequence[Any]:
    """Returns the state of the books in the form of `decode_books`."""
    *counts, sizes, audit = _BOOKS.encode(books)
    return [*counts, [list(size) for size in sizes], audit and encode_audit(audit)]


def decode_books(value: Any) -> Books:
    """Returns the state of the books in decoded JSON. Raises LookupError, TypeError or ValueError for another value."""
    raw = _BOOKS.decode(value)
    sizes = [(str(name), int(size)) for name, size in raw.bytes_by_file]
    audit = None if raw.audit is None else decode_audit(raw.audit)
    return Books(raw.orders, raw.refused, raw.returns, raw.in_doubt, raw.oldest_in_doubt, sizes, audit)
