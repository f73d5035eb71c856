"""Writes numbers, times and entries of the books for the owner."""

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from domain.owner import HistoryEntry, LedgerEntry
from wsgi_apps.pages.money import money

# Files above it are shown in the next greater unit.
_STEP = 1_000
_UNITS = ("bytes", "kB", "MB", "GB", "TB")
_TIME = Markup('<time datetime="{}">{}</time>')


def number(value: int) -> str:
    """Returns a number with its thousands apart and a proper minus sign, such as −1,234."""
    return f"{value:,}".replace("-", "−")


def signed(value: int) -> str:
    """Returns a change, such as +20 or −3."""
    return f"+{value:,}" if value > 0 else number(value)


def pieces(count: int) -> str:
    """Returns a number of pieces, such as 1 piece or 20 pieces."""
    return f"{number(count)} {'piece' if count == 1 else 'pieces'}"


def size(count: int) -> str:
    """Returns a number of bytes in a unit that people read, such as 1.2 MB."""
    value, unit = float(count), 0
    while value >= _STEP and unit < len(_UNITS) - 1:
        value, unit = value / _STEP, unit + 1
    return f"{count} bytes" if unit == 0 else f"{value:.1f} {_UNITS[unit]}"


def moment(time: str) -> Markup:
    """Returns a time of the databases, such as 2026-11-28T13:45:09.123Z, as an HTML element without milliseconds."""
    return _TIME.format(time, time[:19].replace("T", " "))


def sentence(message: str) -> str:
    """Returns the message of an error as a sentence."""
    return f"{message[:1].upper()}{message[1:]}."


def describe_entry(product: str, entry: LedgerEntry) -> str:
    """Returns what an entry of the ledger says, as one sentence for the owner who made it."""
    changed = pieces(abs(entry.delta))
    match entry.reason:
        case "initial":
            what = f"added with {pieces(entry.balance)} at {money(entry.price_cents)}"
        case "restock":
            what = f"{changed} added, {number(entry.balance)} in stock"
        case "writeoff":
            what = f"{changed} written off, {number(entry.balance)} in stock"
        case "correction":
            what = f"counted, {number(entry.balance)} in stock ({signed(entry.delta)})"
        case "returned":
            what = f"{changed} given back, {number(entry.balance)} in stock"
        case reason:
            what = f"{changed} {reason}, {number(entry.balance)} in stock"
    return f"{product}: {what}: entry {entry.entry}"


def describe_history(product: str, entry: HistoryEntry) -> str:
    """Returns what an entry of a product's history says, as one sentence for the owner who made it."""
    what = f"costs {money(entry.price_cents)} from now on" if entry.what == "price" else entry.what
    return f"{product}: {what}: entry {entry.entry} of the history"


def template_names(currency: str | None) -> Mapping[str, Any]:
    """Returns the functions that the templates of the desk use."""
    return {
        "money": lambda cents: money(cents, currency),
        "number": number,
        "signed": signed,
        "pieces": pieces,
        "size": size,
        "moment": moment,
        "sentence": sentence,
    }
