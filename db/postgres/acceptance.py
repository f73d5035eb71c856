"""Records which discrepancies the owner has accepted, see db/sqlite/audit/acceptance.py."""

from db.postgres.database import Database
from db.postgres.locks import lock_keys
from db.postgres.session import Session
from db.sqlite.audit import Discrepancy
from db.sqlite.audit.acceptance import accept_within, was_accepted_within


def accept(catalog: Database, found: Discrepancy, note: str, by: str, key: str) -> bool:
    """Accepts this discrepancy, once for the key. Returns False when it was accepted under this key before.

    Raises Invalid when it must not be accepted, or was accepted under another key; KeyReused; and Unavailable.
    """

    def work(session: Session) -> bool:
        # With the fingerprint, so that of two that accept it the second one finds it accepted.
        session.fetch_together(lock_keys([key, found.fingerprint]))
        return accept_within(session.fetch_all, found, note, by, key)

    return catalog.run(work)


def was_accepted(catalog: Database, fingerprint: str, note: str, key: str) -> bool:
    """Whether this discrepancy was accepted under the key. Raises KeyReused and Unavailable."""
    return catalog.run(lambda session: was_accepted_within(session.fetch_all, fingerprint, note, key))
