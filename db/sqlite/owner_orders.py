"""The order log's file for the owner: pages of ended buys, and the state of the books.

SQLite encodes a page without the interpreter lock, which buys need.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from db.owner_orders import OwnerOrderReads, page_values
from db.sqlite.connection import fetch_all
from db.sqlite.database import Database
from db.sqlite.last_audit import read_last_audit
from db.sqlite.pairing import CATALOG_NAME, LOG_NAME
from db.sqlite.read_only import file_size, wal_path
from domain.owner import Books, LogCursor, Selection

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

# The numbers of the orders and the entries of the returns have no gap.
_COUNTS = """
    SELECT (SELECT coalesce(max(number) + 1, 0) FROM orders), (SELECT count(*) FROM refused),
        (SELECT coalesce(max(entry), 0) FROM returns),
        (SELECT count(*) FROM intents) + (SELECT count(*) FROM return_intents),
        (SELECT min(time) FROM (SELECT time FROM intents UNION ALL SELECT time FROM return_intents))"""


class OwnerOrderStore(OwnerOrderReads):
    """The order log in one SQLite file, for the owner: see domain.owner.OrderBooks. Any thread may call it."""

    def __init__(self, path: Path, require: Callable[[], object] = lambda: None) -> None:
        """Calls `require` before the first use, see Database."""
        self._database = Database(path, require)

    def _fetch_all(self, sql: str, values: Mapping[str, Any]) -> list[Any]:
        with self._database.read() as connection:
            return fetch_all(connection, sql, values)

    def encoded_buys(self, selection: Selection, *, before: LogCursor | None = None, limit: int) -> bytes:
        """Returns a page of ended buys as JSON in UTF-8, which `decode_buys_page` decodes."""
        with self._database.read() as connection:
            values = page_values(partial(fetch_all, connection), selection, before, limit)
            [(page,)] = fetch_all(connection, _PAGE, values)
        assert isinstance(page, bytes)
        return page

    def books(self) -> Books:
        """Returns the state of the books, see OrderBooks.books."""
        [(orders, refused, returns, in_doubt, oldest)] = self._fetch_all(_COUNTS, {})
        folder = self._database.path.parent
        files = [folder / name for name in (CATALOG_NAME, LOG_NAME)]
        sizes = [(path.name, file_size(path)) for file in files for path in (file, wal_path(file)) if path.exists()]
        return Books(orders, refused, returns, in_doubt, oldest, sizes, read_last_audit(folder))

    def close(self) -> None:
        """Closes this thread's connection."""
        self._database.close()
