"""The order log for the owner: pages of ended buys, takings by day and product, and the state of the books.

The reads run beside buys. SQLite encodes a page without the interpreter lock, which buys need. Whatever may read the
whole log does so in short steps, since checkpoints wait for a long one. No index on `orders` serves these reads alone:
each buy would have to keep it, at 2 µs.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import apsw

from db.sqlite.connection import fetch_all
from db.sqlite.database import Database
from db.sqlite.last_audit import read_last_audit
from db.sqlite.pairing import CATALOG_NAME, LOG_NAME
from db.sqlite.read_only import file_size, wal_path
from domain.errors import Invalid
from domain.owner import (
    MAX_HISTORY,
    MAX_TAKINGS,
    REFUSED_NUMBER,
    Books,
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
# One row with the whole page as JSON. The orders come by number and the refused buys by time, each from where the page
# before ended, so that no buy comes twice and none is missed, whatever the clock did and whoever buys meanwhile. The
# two are merged by time. After a clock was set back, an order counts there as not later than the orders above it.
_PAGE = """
    WITH page AS MATERIALIZED (
        SELECT *, row_number() OVER (ORDER BY place DESC, number DESC, key DESC) AS line
        FROM (
            SELECT *, min(time) OVER (ORDER BY number DESC ROWS UNBOUNDED PRECEDING) AS place
            FROM (
                SELECT time, number, key, product, quantity, price_cents, NULL AS reason FROM orders
                WHERE number >= :first AND number < :end
                    AND (:product IS NULL OR product = :product) AND time >= :since AND time < :until
                ORDER BY number DESC LIMIT :limit + 1)
            UNION ALL
            SELECT *, time
            FROM (
                SELECT time, -1, key, product, quantity, NULL, reason FROM refused
                WHERE :with_refused AND (time, key) < (:before_time, :before_key) AND time >= :refused_since
                    AND (:product IS NULL OR product = :product) AND (:key IS NULL OR key = :key)
                ORDER BY time DESC, key DESC LIMIT :limit + 1))
        LIMIT :limit + 1)
    SELECT CAST(printf('{"data": %s, "next": %s}',
        (SELECT json_group_array(json_array(time, number, key, product, quantity, price_cents, reason,
                (SELECT coalesce(sum(quantity), 0) FROM returns WHERE returns.number = shown.number)))
            FROM (SELECT * FROM page WHERE line <= :limit ORDER BY line) AS shown),
        CASE WHEN EXISTS (SELECT 1 FROM page WHERE line > :limit) THEN json_array(
            coalesce((SELECT min(number) FROM page WHERE line <= :limit AND number >= 0),
                min(:end, (SELECT coalesce(max(number) + 1, 0) FROM orders))),
            coalesce((SELECT time FROM page WHERE line <= :limit AND number < 0 ORDER BY line DESC LIMIT 1),
                min(:before_time, (SELECT coalesce(max(time), '') FROM refused))),
            coalesce((SELECT key FROM page WHERE line <= :limit AND number < 0 ORDER BY line DESC LIMIT 1),
                :before_key))
        ELSE 'null' END) AS BLOB)"""

_RETURNS_OF = """
    SELECT time, key, quantity, note FROM returns WHERE number = :number ORDER BY entry DESC LIMIT :limit"""
_END = "SELECT coalesce(max(number) + 1, 0) FROM orders"
_SOLD = """
    SELECT substr(time, 1, 10), product, price_cents, sum(quantity) FROM orders
    WHERE number >= :first AND number < :end AND (:product IS NULL OR product = :product)
        AND time >= :since AND time < :until
    GROUP BY 1, 2, 3"""

_LAST_RETURN = "SELECT coalesce(max(entry), 0) FROM returns"
_RETURNED = """
    SELECT substr(returns.time, 1, 10), product, price_cents, sum(returns.quantity)
    FROM returns JOIN orders ON orders.number = returns.number
    WHERE entry > :first AND entry <= :end AND (:product IS NULL OR product = :product)
        AND returns.time >= :since AND returns.time < :until
    GROUP BY 1, 2, 3"""

# The numbers of the orders and the entries of the returns have no gap.
_COUNTS = """
    SELECT (SELECT coalesce(max(number) + 1, 0) FROM orders), (SELECT count(*) FROM refused),
        (SELECT coalesce(max(entry), 0) FROM returns),
        (SELECT count(*) FROM intents) + (SELECT count(*) FROM return_intents),
        (SELECT min(time) FROM (SELECT time FROM intents UNION ALL SELECT time FROM return_intents))"""


class OwnerOrderStore:
    """The order log in one SQLite file, for the owner: see domain.owner.OrderBooks. Any thread may call it."""

    def __init__(self, path: Path, require: Callable[[], object] = lambda: None) -> None:
        """Calls `require` before the first use, see Database."""
        self._database = Database(path, require)

    def logged_buys(self, selection: Selection, *, before: LogCursor | None = None, limit: int) -> BuysPage:
        """Returns a page of ended buys, see OrderBooks.logged_buys."""
        return decode_buys_page(json.loads(self.encoded_buys(selection, before=before, limit=limit)))

    def encoded_buys(self, selection: Selection, *, before: LogCursor | None = None, limit: int) -> bytes:
        """Returns a page of ended buys as JSON in UTF-8, which `decode_buys_page` decodes."""
        with self._database.read() as connection:
            values = _selected(selection) | _orders(connection, selection) | _refused(connection, selection)
            values["limit"] = limit
            if before is not None:
                values["end"] = min(values["end"], before.number)
                place = values["before_time"], values["before_key"]
                values["before_time"], values["before_key"] = min(place, (before.refused_time, before.refused_key))
            [(page,)] = fetch_all(connection, _PAGE, values)
        assert isinstance(page, bytes)
        return page

    def returns_of(self, number: int) -> Sequence[LoggedReturn]:
        """Returns the newest returns of an order, see OrderBooks.returns_of."""
        with self._database.read() as connection:
            rows = fetch_all(connection, _RETURNS_OF, {"number": number, "limit": MAX_HISTORY})
        return [LoggedReturn(*row) for row in rows]

    def takings(self, selection: Selection) -> Sequence[Takings]:
        """Returns the takings of each day and product, see OrderBooks.takings. Raises Invalid for too many of them."""
        sums: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        for column, rows in (
            (0, self._steps(_END, _SOLD, selection)),
            (2, self._steps(_LAST_RETURN, _RETURNED, selection)),
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

    def books(self) -> Books:
        """Returns the state of the books, see OrderBooks.books."""
        with self._database.read() as connection:
            [(orders, refused, returns, in_doubt, oldest)] = fetch_all(connection, _COUNTS, {})
        folder = self._database.path.parent
        files = [folder / name for name in (CATALOG_NAME, LOG_NAME)]
        sizes = [(path.name, file_size(path)) for file in files for path in (file, wal_path(file)) if path.exists()]
        return Books(orders, refused, returns, in_doubt, oldest, sizes, read_last_audit(folder))

    def close(self) -> None:
        """Closes this thread's connection."""
        self._database.close()

    def _steps(self, last: str, sql: str, selection: Selection) -> Iterator[tuple[str, str, int, int]]:
        """Yields day, product, price in cents and pieces of orders or returns, one step of the log after the other.

        `last` selects where the log ends now. SQLite multiplies no price: a sum could be above its integers.
        """
        with self._database.read() as connection:
            [(end,)] = fetch_all(connection, last, {})
        for first in range(0, end, STEP):
            values = {"first": first, "end": min(first + STEP, end)} | _selected(selection)
            with self._database.read() as connection:
                rows = fetch_all(connection, sql, values)
            yield from rows


# A page needs two statements when its selection has a key. Both find the same, because ended buys never change.


def _selected(selection: Selection) -> dict[str, Any]:
    return {
        "product": selection.product,
        "key": selection.key,
        "since": selection.since or "",
        "until": selection.until or _LAST_TEXT,
    }


def _orders(connection: apsw.Connection, selection: Selection) -> dict[str, Any]:
    """Returns the first number of the selection and the one behind its last; the two are equal for none."""
    first, end = 0, _NEWEST_NUMBER
    if selection.number is not None:
        first, end = max(selection.number, 0), selection.number + 1
    if selection.key is not None:
        rows = fetch_all(connection, _NUMBER_OF_KEY, {"key": selection.key})
        number = rows[0][0] if rows else end
        first, end = (number, number + 1) if first <= number < end else (0, 0)
    return {"first": first, "end": end}


def _refused(connection: apsw.Connection, selection: Selection) -> dict[str, Any]:
    """Returns between which times and keys the refused buys of the selection are, and whether it has any."""
    may_have = selection.number in (None, REFUSED_NUMBER)
    since, until = selection.since or "", selection.until
    if selection.key is not None:
        rows = fetch_all(connection, _REFUSED_AT, {"key": selection.key})
        may_have = may_have and bool(rows)
        since = max([since, *(time for (time,) in rows)])
    before = (_LAST_TEXT, _LAST_TEXT) if until is None else (until, "")
    return {"with_refused": may_have, "refused_since": since, "before_time": before[0], "before_key": before[1]}
