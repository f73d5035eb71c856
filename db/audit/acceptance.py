"""Discrepancies that the owner has explained and signed: they stay in the books, and the audit is green all the same.

What is wrong in an append-only table can never be put right, so that one wrong row would hide every later one behind an
audit that is always red. The signature is a row of the catalog, as append-only as the rest, and goes with its backups.
It holds for one discrepancy, word by word: when that changes, or another comes up at the same place, the audit is red.
"""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import apsw

from db.audit.discrepancy import Discrepancy
from db.connection import fetch_all
from db.database import Database
from db.product_admin import is_done
from db.snapshots import CATALOG, Snapshots
from domain.errors import Invalid


@dataclass(frozen=True, slots=True)
class Accepted:
    """A discrepancy that was accepted: why, by whom, and when, UTC in ISO 8601."""

    discrepancy: Discrepancy
    note: str
    by: str
    time: str


_SIGNED = "SELECT fingerprint, note, accepted_by, time FROM catalog.accepted_discrepancies"


def signatures(snapshots: Snapshots) -> Mapping[str, tuple[str, str, str]]:
    """Note, user and time of each accepted fingerprint; none from a catalog that cannot tell."""
    try:
        with snapshots.snapshot(CATALOG) as connection:
            rows = fetch_all(connection, _SIGNED, {})
    except (apsw.SQLError, apsw.CorruptError):
        return {}
    return {fingerprint: (note, by, time) for fingerprint, note, by, time in rows}


def accept(catalog: Path, found: Discrepancy, note: str, by: str, key: str) -> bool:
    """Sign this discrepancy, once for the key; False when the key has done so before.

    Raises Invalid for what must not be accepted, or was already; KeyReused, and Unavailable.
    """
    with closing(Database(catalog)) as database, database.write() as transaction:
        if is_done(transaction, key, ("accepted", found.fingerprint, None, None, note)):
            return False
        if found.repair is not None:
            raise Invalid("reconcile --apply repairs this discrepancy, so that it need not be accepted")
        if found.hides:
            raise Invalid("more may be wrong behind this discrepancy, so that it cannot be accepted")
        if fetch_all(transaction, _OF_FINGERPRINT, {"fingerprint": found.fingerprint}):
            raise Invalid(f"the discrepancy {found.fingerprint} was accepted already")
        row = {"promise": found.promise, "subject": found.where, "finding": found.what}
        fetch_all(transaction, _SIGN, row | {"fingerprint": found.fingerprint, "note": note, "by": by, "key": key})
        return True


def was_accepted(catalog: Path, fingerprint: str, note: str, key: str) -> bool:
    """Whether the key has accepted this before, though the audit may not find it any more. Raises as `accept` does."""
    with closing(Database(catalog)) as database, database.write() as transaction:
        return is_done(transaction, key, ("accepted", fingerprint, None, None, note))


_OF_FINGERPRINT = "SELECT 1 FROM accepted_discrepancies WHERE fingerprint = :fingerprint"
_SIGN = """
    INSERT INTO accepted_discrepancies (fingerprint, promise, subject, finding, note, accepted_by, key)
    VALUES (:fingerprint, :promise, :subject, :finding, :note, :by, :key)"""
