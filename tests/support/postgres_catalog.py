"""Empties a catalog on PostgreSQL, or sets it back, for tests that need a fresh one for each of many examples."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

_TABLES = ("stock_ledger", "product_history", "refused", "accepted_discrepancies", "keys", "products")


class CatalogReset:
    """Brings the tables of a catalog back to the rows that they have now. A fresh database takes ten times as long."""

    def __init__(self, superuser: "psycopg.Connection[tuple[object, ...]]") -> None:
        self._superuser = superuser
        superuser.execute("SET session_replication_role = replica")  # no trigger and no reference is checked
        superuser.execute("CREATE SCHEMA saved")
        for table in _TABLES:
            superuser.execute(f"CREATE TABLE saved.{table} AS TABLE catalog.{table}".encode())

    def __call__(self) -> None:
        """Sets all tables back."""
        with self._superuser.transaction():
            for table in _TABLES:
                self._superuser.execute(f"DELETE FROM catalog.{table}".encode())
                self._superuser.execute(
                    f"INSERT INTO catalog.{table} OVERRIDING SYSTEM VALUE TABLE saved.{table}".encode()
                )


@contextmanager
def resettable(address: str) -> Iterator[CatalogReset]:
    """Yields the reset of the catalog at `address`, whose role is a superuser."""
    with psycopg.connect(address, autocommit=True) as superuser:
        yield CatalogReset(superuser)
