"""The locks of idempotency keys, which both schemas have in their table `keys`."""

from collections.abc import Iterable

from db.postgres.session import Statement

# Inserts the keys, or locks the rows of those that are there, and so waits for a transaction that has one of them. The
# keys must be sorted and different: two transactions with the same keys in another order would wait for each other.
_LOCK_KEYS = """
    INSERT INTO keys (key) SELECT unnest(:keys::text[])
    ON CONFLICT (key) DO UPDATE SET key = excluded.key WHERE FALSE"""


def lock_keys(keys: Iterable[str]) -> Statement:
    """Returns the statement that keeps other transactions from these idempotency keys until this one ends."""
    return _LOCK_KEYS, {"keys": sorted(set(keys))}
