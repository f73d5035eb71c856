"""The record of the newest audit of a store on PostgreSQL: the row of `last_audit` in the log's schema."""

import json
from collections.abc import Sequence
from contextlib import suppress

from db.postgres.database import Database
from db.postgres.session import Row, Session
from db.sqlite.audit import Audit
from db.sqlite.last_audit import new_record
from domain.errors import Unavailable
from domain.owner import LastAudit, discrepancy_line
from domain.owner_json import decode_audit, encode_audit

# Returns one row or none, for decode_record.
SELECT_RECORD = "SELECT record FROM last_audit"
_REPLACE_RECORD = """
    INSERT INTO last_audit (record) VALUES (:record) ON CONFLICT ("only") DO UPDATE SET record = excluded.record"""


def record_audit(log: Database, result: Audit) -> None:
    """Records an audit that has just ended. A database that takes no writes is no error of the audit."""
    lines = [discrepancy_line(found.promise, found.where, found.what) for found in result.discrepancies]

    def work(session: Session) -> None:
        record = new_record(lines, decode_record(session.fetch_all(SELECT_RECORD, {})))
        session.fetch_all(_REPLACE_RECORD, {"record": json.dumps(encode_audit(record), ensure_ascii=False)})

    with suppress(Unavailable):
        log.run(work)


def read_last_audit(log: Database) -> LastAudit | None:
    """Returns the record of the newest audit; None when there is none. Raises Unavailable."""
    with log.read() as session:
        return decode_record(session.fetch_all(SELECT_RECORD, {}))


def decode_record(rows: Sequence[Row]) -> LastAudit | None:
    """Returns the record in the rows of SELECT_RECORD; None when there is none that can be read."""
    try:
        return decode_audit(json.loads(rows[0][0]))
    except (ValueError, LookupError, TypeError):
        return None
