"""Tells how many rows of a table a copy has moved."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from db.sqlite.backup import OnProgress

T = TypeVar("T")

# Rows between two steps of the progress.
ROWS_A_STEP = 100_000


def counted(rows: Iterable[T], what: str, on_progress: OnProgress) -> Iterator[T]:
    """Yields the rows, and shows `what` with their number at the first one and after each step."""
    for number, row in enumerate(rows):
        if number % ROWS_A_STEP == 0:
            on_progress(f"{what}, {number:,} rows")
        yield row
