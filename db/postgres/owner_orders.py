"""The order log on PostgreSQL for the owner: pages of ended buys, and the state of the books."""

from collections.abc import Mapping
from typing import Any

from db.owner_orders import OwnerOrderReads, page_values
from db.postgres.database import Database
from db.postgres.last_audit import SELECT_RECORD, decode_record
from domain.owner import Books, LogCursor, Selection

# One row with the whole page as JSON. The orders come by number and the refused buys by time, each from where the page
# before ended, and the two are merged by time. After a clock was set back, an order counts there as not later than the
# orders above it.
_PAGE = """
    WITH page AS MATERIALIZED (
        SELECT *, row_number() OVER (ORDER BY place DESC, number DESC, key DESC) AS line
        FROM (
            SELECT *, min(time) OVER (ORDER BY number DESC ROWS UNBOUNDED PRECEDING) AS place
            FROM (
                SELECT time, number, key, product, quantity, price_cents, NULL AS reason FROM orders
                WHERE number >= :first AND number < :end
                    AND (:product::text IS NULL OR product = :product) AND time >= :since AND time < :until
                ORDER BY number DESC LIMIT :limit + 1) AS sold
            UNION ALL
            SELECT *, time
            FROM (
                SELECT time, -1, key, product, quantity, NULL::bigint, reason FROM refused
                WHERE :with_refused AND (time, key) < (:before_time, :before_key) AND time >= :refused_since
                    AND (:product::text IS NULL OR product = :product) AND (:key::text IS NULL OR key = :key)
                ORDER BY time DESC, key DESC LIMIT :limit + 1) AS unsold) AS merged
        ORDER BY line LIMIT :limit + 1)
    SELECT json_build_object('data',
        (SELECT coalesce(json_agg(json_build_array(time, number, key, product, quantity, price_cents, reason,
                (SELECT coalesce(sum(quantity), 0) FROM returns WHERE returns.number = page.number))
            ORDER BY line), '[]') FROM page WHERE line <= :limit),
        'next', CASE WHEN EXISTS (SELECT FROM page WHERE line > :limit) THEN json_build_array(
            coalesce((SELECT min(number) FROM page WHERE line <= :limit AND number >= 0),
                least(:end::bigint, (SELECT coalesce(max(number) + 1, 0) FROM orders))),
            coalesce((SELECT time FROM page WHERE line <= :limit AND number < 0 ORDER BY line DESC LIMIT 1),
                least(:before_time::text COLLATE "C", (SELECT coalesce(max(time), '') FROM refused))),
            coalesce((SELECT key FROM page WHERE line <= :limit AND number < 0 ORDER BY line DESC LIMIT 1),
                :before_key::text)) END)::text"""
# A rollback leaves a gap between the entries of the returns, so they are counted.
_COUNTS = """
    SELECT (SELECT coalesce(max(number) + 1, 0) FROM orders), (SELECT count(*) FROM refused),
        (SELECT count(*) FROM returns), (SELECT count(*) FROM intents) + (SELECT count(*) FROM return_intents),
        (SELECT min(time) FROM (SELECT time FROM intents UNION ALL SELECT time FROM return_intents) AS begun)"""
_BYTES = """
    SELECT sum(pg_total_relation_size(pg_class.oid))::bigint FROM pg_class
    WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'"""


class OwnerOrderStore(OwnerOrderReads):
    """The order log in the schema `log` of a database, for the owner: see domain.owner.OrderBooks."""

    def __init__(self, database: Database) -> None:
        """Uses the connections of `database`, whose schema must be that of the log."""
        self._database = database

    def _fetch_all(self, sql: str, values: Mapping[str, Any]) -> list[Any]:
        with self._database.read() as session:
            return session.fetch_all(sql, values)

    def encoded_buys(self, selection: Selection, *, before: LogCursor | None = None, limit: int) -> bytes:
        """Returns a page of ended buys as JSON in UTF-8, which `decode_buys_page` decodes."""
        with self._database.read() as session:
            values = page_values(session.fetch_all, selection, before, limit)
            [(page,)] = session.fetch_all(_PAGE, values)
        return str(page).encode()

    def books(self) -> Books:
        """Returns the state of the books, see OrderBooks.books."""
        with self._database.snapshot() as session:
            [counts], [(size,)], audits = session.fetch_together((_COUNTS, {}), (_BYTES, {}), (SELECT_RECORD, {}))
        orders, refused, returns, in_doubt, oldest = counts
        sizes = [(f"schema {self._database.schema}", size)]
        return Books(orders, refused, returns, in_doubt, oldest, sizes, decode_record(audits))

    def close(self) -> None:
        """Closes the connections that nobody uses."""
        self._database.close()
