"""Decodes the JSON of the owner's values, and the text of the cursor that leads from a page of the log to the next."""

from dataclasses import asdict
from typing import Any

from domain.errors import Invalid
from domain.owner import BuysPage, LastAudit, LogCursor, LoggedBuy
from domain.values import parse_whole_number


def encode_cursor(cursor: LogCursor) -> str:
    """Returns the cursor as one text, for a link or a query string."""
    return f"{cursor.number},{cursor.refused_time},{cursor.refused_key}"


def parse_cursor(text: str) -> LogCursor:
    """Returns the cursor in a text of `encode_cursor`. Raises Invalid."""
    number_text, *refused = text.split(",", 2)  # only a key may have a comma, when it was made by hand
    number = parse_whole_number(number_text)
    if number is None or len(refused) != 2:
        raise Invalid("the cursor is not the 'next' of a page")
    return LogCursor(number, *refused)


def decode_buys_page(value: Any) -> BuysPage:
    """Returns the page in decoded JSON. Raises LookupError, TypeError or ValueError for any other value."""
    cursor = value["next"]
    return BuysPage([_decode_buy(*row) for row in value["data"]], None if cursor is None else _decode_cursor(*cursor))


def _decode_buy(
    time: str,
    number: int,
    key: str,
    product: str,
    quantity: int,
    price_cents: int | None,
    refused_because: str | None,
    returned: int,
) -> LoggedBuy:
    return LoggedBuy(time, number, key, product, quantity, price_cents, refused_because, returned)


def _decode_cursor(number: int, refused_time: str, refused_key: str) -> LogCursor:
    return LogCursor(number, refused_time, refused_key)


def encode_audit(audit: LastAudit) -> dict[str, Any]:
    """Returns the record of an audit in the form of `decode_audit`."""
    return asdict(audit)


def decode_audit(value: Any) -> LastAudit:
    """Returns the record of an audit in decoded JSON. Raises LookupError, TypeError or ValueError for another value."""
    time, last_clean, is_clean = value["time"], value["last_clean"], value["is_clean"]
    lines = list(value["discrepancies"])
    if type(time) is not str or type(is_clean) is not bool or not all(type(line) is str for line in lines):
        raise ValueError("not the record of an audit")
    return LastAudit(time, is_clean, lines, None if last_clean is None else str(last_clean))
