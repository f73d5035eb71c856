"""Formats products and amounts of money for the terminal."""

from conf.output import visible
from domain.values import Product


def format_product(product: Product) -> str:
    """Returns the product as a line with its name, price and stock."""
    stock = f"{product.quantity:,} in stock" if product.quantity else "out of stock"
    return f"{visible(product.name)}: {format_cents(product.price_cents)}, {stock}"


def format_cents(cents: int) -> str:
    """Returns an amount of money with two decimals, such as 1,025.90."""
    return f"{cents / 100:,.2f}"
