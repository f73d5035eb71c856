"""Encodes the owner's values as the JSON of the desk, with money in cents and as a number, as in the shop's API."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from domain.owner import Backup, Books, HistoryEntry, LedgerEntry, LoggedReturn, StockedProduct
from domain.owner_json import encode_audit


def encode_product(product: StockedProduct) -> dict[str, Any]:
    """Returns a product of the stock."""
    return {
        "name": product.name,
        "price": product.price_cents / 100,
        "price_cents": product.price_cents,
        "quantity": product.quantity,
        "retired": product.retired,
    }


def encode_entry(entry: LedgerEntry | HistoryEntry) -> dict[str, Any]:
    """Returns an entry of the ledger or of the history."""
    return asdict(entry) | {"price": entry.price_cents / 100}


def encode_return(returned: LoggedReturn) -> dict[str, Any]:
    """Returns a return of an order."""
    return asdict(returned)


def encode_books(books: Books, backups: Sequence[Backup] | None) -> dict[str, Any]:
    """Returns the state of the books. The backups are null when they cannot be listed."""
    return {
        "data": {
            "orders": books.orders,
            "refused": books.refused,
            "returns": books.returns,
            "in_doubt": books.in_doubt,
            "oldest_in_doubt": books.oldest_in_doubt,
            "bytes_by_file": dict(books.bytes_by_file),
            "audit": None if books.audit is None else encode_audit(books.audit),
            "backups": None if backups is None else [encode_backup(backup) for backup in backups],
        }
    }


def encode_backup(backup: Backup) -> dict[str, Any]:
    """Returns a backup."""
    return asdict(backup)
