"""Encodes the owner's values as the JSON of the desk, with money in cents and as a number, as in the shop's API."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from domain.owner import Backup, Books, HistoryEntry, LedgerEntry, LoggedBuy, LoggedReturn, StockedProduct
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


def encode_buy(buy: LoggedBuy) -> dict[str, Any]:
    """Returns an ended buy. Its price is null when it was refused."""
    price_cents = buy.price_cents
    total_cents = None if price_cents is None else price_cents * buy.quantity
    return {
        "order_number": str(buy.number),
        "name": buy.product,
        "quantity": buy.quantity,
        "price": None if price_cents is None else price_cents / 100,
        "price_cents": price_cents,
        "total": None if total_cents is None else total_cents / 100,
        "total_cents": total_cents,
        "returned": buy.returned,
        "refused_because": buy.refused_because,
        "key": buy.key,
        "time": buy.time,
    }


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
