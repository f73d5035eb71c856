"""Makes backups without progress reports, and reads all rows of a store to compare two of them."""

from pathlib import Path

from db.sqlite.audit import Audit
from db.sqlite.backup import backup
from tests.support.books import query

_TABLES = {
    "catalog.db": ("products", "stock_ledger", "product_history", "refused"),
    "order.db": ("orders", "refused", "intents", "returns", "return_intents", "sqlite_sequence"),
}


def no_progress(_step: str) -> None:
    """Ignores the progress of a backup or a restore."""


def make_backup(data: Path, target: Path) -> Audit:
    """Backs up the store in the folder `data`, and returns the audit of the backup."""
    return backup(data, target, no_progress)


def all_rows(data: Path) -> list[list[tuple[object, ...]]]:
    """Returns all rows of both databases."""
    return [query(data / name, f"SELECT * FROM {table}") for name, tables in _TABLES.items() for table in tables]
