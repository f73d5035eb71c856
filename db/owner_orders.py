"""The order log as the owner sees it, on every engine: takings by day and product, and the values of a selection.

The reads run beside buys. Whatever may read the whole log does so in short steps, since a database cannot clean up
behind a long one. No index on `orders` serves these reads alone: each buy would have to keep it.
"""

import json
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from db.statements import FetchAll
from domain.errors import Invalid
from domain.owner import (
    MAX_HISTORY,
    MAX_TAKINGS,
    REFUSED_NUMBER,
    BuysPage,
    LogCursor,
    LoggedReturn,
    Selection,
    Takings,
)
from domain.owner_json import decode_buys_page

# Orders read in one step of the takings. 50,000 take about 20 ms.
STEP = 50_000

_NEWEST_NUMBER = 2**63 - 1
# Comes after every time and every key.
_LAST_TEXT = "\U0010ffff"

_NUMBER_OF_KEY = "SELECT number FROM orders WHERE key = :key"
_REFUSED_AT = "SELECT time FROM refused WHERE key = :key"

# PostgreSQL's sum of integers is no integer, and a parameter that is only compared with NULL has no type there.
_RETURNS_OF = """
    SELECT time, key, quantity, note FROM returns WHERE number = :number ORDER BY entry DESC LIMIT :limit"""
_END = "SELECT coalesce(max(number) + 1, 0) FROM orders"
_SOLD = """
    SELECT substr(time, 1, 10), product, price_cents, CAST(sum(quantity) AS BIGINT) FROM orders
    WHERE number >= :first AND number < :end AND (CAST(:product AS TEXT) IS NULL OR product = :product)
        AND time >= :since AND time < :until
    GROUP BY 1, 2, 3"""

_END_OF_RETURNS = "SELECT coalesce(max(entry) + 1, 0) FROM returns"
_RETURNED = """
    SELECT substr(returns.time, 1, 10), product, price_cents, CAST(sum(returns.quantity) AS BIGINT)
    FROM returns JOIN orders ON orders.number = returns.number
    WHERE entry >= :first AND entry < :end AND (CAST(:product AS TEXT) IS NULL OR product = :product)
        AND returns.time >= :since AND returns.time < :until
    GROUP BY 1, 2, 3"""


class OwnerOrderReads(ABC):
    """Reads the order log for the owner: see domain.owner.OrderBooks."""

    @abstractmethod
    def _fetch_all(self, sql: str, values: Mapping[str, Any]) -> list[Any]:
        """Runs one statement that only reads."""

    @abstractmethod
    def encoded_buys(self, selection: Selection, *, before: LogCursor | None = None, limit: int) -> bytes:
        """Returns a page of ended buys as JSON in UTF-8, which `decode_buys_page` decodes."""

    def logged_buys(self, selection: Selection, *, before: LogCursor | None = None, limit: int) -> BuysPage:
        """Returns a page of ended buys, see OrderBooks.logged_buys."""
        return decode_buys_page(json.loads(self.encoded_buys(selection, before=before, limit=limit)))

    def returns_of(self, number: int) -> Sequence[LoggedReturn]:
        """Returns the newest returns of an order, see OrderBooks.returns_of."""
        rows = self._fetch_all(_RETURNS_OF, {"number": number, "limit": MAX_HISTORY})
        return [LoggedReturn(*row) for row in rows]

    def takings(self, selection: Selection) -> Sequence[Takings]:
        """Returns the takings of each day and product, see OrderBooks.takings. Raises Invalid for too many of them."""
        sums: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        for column, rows in (
            (0, self._steps(_END, _SOLD, selection)),
            (2, self._steps(_END_OF_RETURNS, _RETURNED, selection)),
        ):
            for day, product, price_cents, quantity in rows:
                line = sums[day, product]
                line[column] += quantity
                line[column + 1] += quantity * price_cents
                if len(sums) > MAX_TAKINGS:
                    why = f"more than {MAX_TAKINGS:,} days and products"
                    raise Invalid(f"{why}; choose a shorter time or one product")
        by_product = sorted(sums.items(), key=lambda item: item[0][1])
        by_day = sorted(by_product, key=lambda item: item[0][0], reverse=True)
        return [Takings(day, product, *line) for (day, product), line in by_day]

    def _steps(self, end: str, sql: str, selection: Selection) -> Iterator[tuple[str, str, int, int]]:
        """Yields day, product, price in cents and pieces of orders or returns, one step of the log after the other.

        `end` selects where the log ends now. No database multiplies a price: a sum could be above its integers.
        """
        [(behind_last,)] = self._fetch_all(end, {})
        for first in range(0, behind_last, STEP):
            values = {"first": first, "end": min(first + STEP, behind_last)} | _selected(selection)
            yield from self._fetch_all(sql, values)


def page_values(
    fetch_all: FetchAll, selection: Selection, before: LogCursor | None, limit: int
) -> dict[str, int | str | bool | None]:
    """Returns the values of the statement that reads a page of ended buys, see OrderBooks.logged_buys.

    Its orders have numbers from `first` to below `end`; its refused buys are below `before_time` and `before_key`, and
    not older than `refused_since`. A selection with a key needs statements of its own before that one; all find the
    same, because ended buys never change.
    """
    values = _selected(selection) | _orders(fetch_all, selection) | _refused(fetch_all, selection) | {"limit": limit}
    if before is not None:
        values["end"] = min(values["end"], before.number)
        place = values["before_time"], values["before_key"]
        values["before_time"], values["before_key"] = min(place, (before.refused_time, before.refused_key))
    return values


def _selected(selection: Selection) -> dict[str, Any]:
    return {
        "product": selection.product,
        "key": selection.key,
        "since": selection.since or "",
        "until": selection.until or _LAST_TEXT,
    }


def _orders(fetch_all: FetchAll, selection: Selection) -> dict[str, Any]:
    """Returns the first number of the selection and the one behind its last; the two are equal for none."""
    first, end = 0, _NEWEST_NUMBER
    if selection.number is not None:
        first, end = max(selection.number, 0), selection.number + 1
    if selection.key is not None:
        rows = fetch_all(_NUMBER_OF_KEY, {"key": selection.key})
        number = rows[0][0] if rows else end
        first, end = (number, number + 1) if first <= number < end else (0, 0)
    return {"first": first, "end": end}


def _refused(fetch_all: FetchAll, selection: Selection) -> dict[str, Any]:
    """Returns between which times and keys the refused buys of the selection are, and whether it has any."""
    may_have = selection.number in (None, REFUSED_NUMBER)
    since, until = selection.since or "", selection.until
    if selection.key is not None:
        rows = fetch_all(_REFUSED_AT, {"key": selection.key})
        may_have = may_have and bool(rows)
        since = max([since, *(time for (time,) in rows)])
    before = (_LAST_TEXT, _LAST_TEXT) if until is None else (until, "")
    return {"with_refused": may_have, "refused_since": since, "before_time": before[0], "before_key": before[1]}
