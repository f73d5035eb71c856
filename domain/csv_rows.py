"""Writes rows as CSV (RFC 4180) that programs read exactly and that spreadsheets do not calculate."""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal

# Excel takes a file for UTF-8 only with this mark at its start.
BYTE_ORDER_MARK = "\ufeff".encode()
# A spreadsheet takes a text with one of these at its front for a formula. East Asian keyboards write the wide ones.
_FORMULA_STARTS = tuple("=+-@\t\r\n＝＋－＠")
# Where numbers have a decimal comma, a spreadsheet begins a new cell at each semicolon, also within a text of ours.
_FORMULA_INSIDE = re.compile(r"(;[ \"]*)(?=[=+\-@＝＋－＠])")

Cell = str | int | Decimal | None


def encode_rows(rows: Iterable[Sequence[Cell]]) -> bytes:
    """Returns the rows in UTF-8. A text that a spreadsheet would calculate gets an apostrophe at the front of it."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows([_harmless(cell) for cell in row] for row in rows)
    return text.getvalue().encode()


def _harmless(cell: Cell) -> Cell:
    """Returns the cell so that no spreadsheet takes it for a formula. Numbers stay numbers, negative ones too."""
    if not isinstance(cell, str):
        return cell
    inside = _FORMULA_INSIDE.sub(r"\1'", cell)
    return f"'{inside}" if cell.lstrip(" ").startswith(_FORMULA_STARTS) else inside


def amount(cents: int) -> Decimal:
    """Returns an amount of money as a cell: exactly, with two digits after the point."""
    return Decimal(cents).scaleb(-2)
