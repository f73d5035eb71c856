"""Writes stocks and times as shoppers read them, and the paths of the shop's pages."""

from datetime import datetime
from urllib.parse import quote

# So few pieces are called the last ones.
LAST_PIECES = 5


def stock(quantity: int) -> str:
    """Returns how many pieces there are, such as "80 in stock", "last 3" or "sold out"."""
    if quantity > LAST_PIECES:
        return f"{quantity:,} in stock"
    return f"last {quantity}" if quantity else "sold out"


def stock_level(quantity: int) -> str:
    """Returns the class of a stock, which decides on its colour: plenty, few or none."""
    if quantity > LAST_PIECES:
        return "plenty"
    return "few" if quantity else "none"


def moment(time: str) -> str:
    """Returns a time of the order log, UTC in ISO 8601, such as "28 November 2026, 13:45:09 UTC"."""
    parsed = datetime.fromisoformat(time)
    return f"{parsed.day} {parsed:%B %Y, %H:%M:%S} UTC"


def product_path(name: str) -> str:
    """Returns the path of a product's page."""
    return f"/shop/{quote(name, safe='')}"


def receipt_path(key: str) -> str:
    """Returns the path of a receipt."""
    return f"/receipts/{quote(key, safe='')}"
