"""Sets a schema on PostgreSQL back, for tests that need a fresh one for each of many examples."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psycopg

_CATALOG = ("stock_ledger", "product_history", "refused", "accepted_discrepancies", "keys", "products")
_LOG = ("returns", "return_intents", "intents", "orders", "refused", "last_number", "keys")


class Reset:
    """Brings tables back to the rows that they have now. A fresh database takes ten times as long."""

    def __init__(self, superuser: "psycopg.Connection[tuple[object, ...]]", tables: Sequence[str]) -> None:
        """`tables` are named with their schema."""
        self._superuser = superuser
        self._tables = tables
        superuser.execute("SET session_replication_role = replica")  # no trigger and no reference is checked
        for table in tables:
            superuser.execute(f"CREATE TEMPORARY TABLE {_saved(table)} AS TABLE {table}".encode())

    def __call__(self) -> None:
        """Sets all tables back."""
        with self._superuser.transaction():
            for table in self._tables:
                self._superuser.execute(f"DELETE FROM {table}".encode())
                self._superuser.execute(f"INSERT INTO {table} OVERRIDING SYSTEM VALUE TABLE {_saved(table)}".encode())


def _saved(table: str) -> str:
    return f"saved_{table.replace('.', '_')}"


@contextmanager
def resettable(address: str, *schemas: str) -> Iterator[Reset]:
    """Yields the reset of the schemas `catalog` and `log`, or of one of them. The role of `address` is a superuser."""
    tables = [f"{schema}.{table}" for schema in schemas for table in {"catalog": _CATALOG, "log": _LOG}[schema]]
    with psycopg.connect(address, autocommit=True) as superuser:
        yield Reset(superuser, tables)
