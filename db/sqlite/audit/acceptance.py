"""Records which discrepancies the owner has accepted, so that the audit passes in spite of them.

A wrong row of an append-only table can never be corrected. The audit would fail for ever, and hide every later error.
An acceptance is a row of an append-only table in the catalog, and its backups have it as well. Each acceptance is for
one discrepancy, word by word: when a word changes, or another discrepancy appears at the same place, the audit fails
again.
"""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import apsw

from db.product_changes import Change, is_done
from db.sqlite.audit.discrepancy import Discrepancy
from db.sqlite.connection import fetch_all
from db.sqlite.database import Database
from db.sqlite.snapshots import CATALOG, Snapshots
from db.statements import FetchAll
from domain.errors import Invalid


@dataclass(frozen=True, slots=True)
class Accepted:
    """An accepted discrepancy, with the owner's note, the user and the time (UTC in ISO 8601)."""

    discrepancy: Discrepancy
    note: str
    by: str
    time: str


_ACCEPTANCES = "SELECT fingerprint, note, accepted_by, time FROM catalog.accepted_discrepancies"


def acceptances(snapshots: Snapshots) -> Mapping[str, tuple[str, str, str]]:
    """Returns note, user and time by accepted fingerprint; nothing when the table is missing or damaged."""
    try:
        with snapshots.snapshot(CATALOG) as connection:
            rows = fetch_all(connection, _ACCEPTANCES, {})
    except (apsw.SQLError, apsw.CorruptError):
        return {}
    return {fingerprint: (note, by, time) for fingerprint, note, by, time in rows}


def accept(catalog: Path, found: Discrepancy, note: str, by: str, key: str) -> bool:
    """Accepts this discrepancy, once for the key. Returns False when it was accepted under this key before.

    Raises Invalid when it must not be accepted, or was accepted under another key; KeyReused; and Unavailable.
    """
    with closing(Database(catalog)) as database, database.write() as transaction:
        return accept_within(partial(fetch_all, transaction), found, note, by, key)


def accept_within(fetch_all: FetchAll, found: Discrepancy, note: str, by: str, key: str) -> bool:
    """Accepts this discrepancy within a transaction of either engine, see accept."""
    if is_done(fetch_all, key, Change("accepted", found.fingerprint, note=note)):
        return False
    if found.repair is not None:
        raise Invalid("reconcile --apply repairs this discrepancy, so that it need not be accepted")
    if found.hides:
        raise Invalid("more may be wrong behind this discrepancy, so that it cannot be accepted")
    if fetch_all(_IS_ACCEPTED, {"fingerprint": found.fingerprint}):
        raise Invalid(f"the discrepancy {found.fingerprint} was accepted already")
    row = {"promise": found.promise, "subject": found.where, "finding": found.what}
    fetch_all(_INSERT_ACCEPTANCE, row | {"fingerprint": found.fingerprint, "note": note, "by": by, "key": key})
    return True


def was_accepted(catalog: Path, fingerprint: str, note: str, key: str) -> bool:
    """Whether this discrepancy was accepted under the key. Raises KeyReused and Unavailable.

    The audit may no longer find the discrepancy.
    """
    with closing(Database(catalog)) as database, database.write() as transaction:
        return was_accepted_within(partial(fetch_all, transaction), fingerprint, note, key)


def was_accepted_within(fetch_all: FetchAll, fingerprint: str, note: str, key: str) -> bool:
    """Whether this discrepancy was accepted under the key, within a transaction of either engine. Raises KeyReused."""
    return is_done(fetch_all, key, Change("accepted", fingerprint, note=note))


_IS_ACCEPTED = "SELECT 1 FROM accepted_discrepancies WHERE fingerprint = :fingerprint"
_INSERT_ACCEPTANCE = """
    INSERT INTO accepted_discrepancies (fingerprint, promise, subject, finding, note, accepted_by, key)
    VALUES (:fingerprint, :promise, :subject, :finding, :note, :by, :key)"""
