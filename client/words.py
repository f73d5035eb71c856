"""Products and money in the words of the client."""

from conf.output import visible
from domain.values import Product


def offer(product: Product) -> str:
    """A product as a line: its name, price and stock."""
    stock = f"{product.quantity:,} in stock" if product.quantity else "out of stock"
    return f"{visible(product.name)}: {amount(product.price_cents)}, {stock}"


def amount(cents: int) -> str:
    """Money with two decimals, such as 1,025.90."""
    return f"{cents / 100:,.2f}"
