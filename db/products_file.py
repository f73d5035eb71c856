"""The file of the first products: a name, a price and a quantity on each line."""

import re
import shlex
from pathlib import Path

from db.connection import StartRefused
from domain.errors import Invalid
from domain.values import Product, parse_name, parse_whole_number

MAX_PRICE_CENTS = 100_000_000_000
MAX_STOCK = 1_000_000_000

_PRICE = re.compile(r"([0-9]{1,10})(?:\.([0-9]{1,2}))?")


def read_products(path: Path) -> list[Product]:
    """The products in the file. Raises StartRefused, naming the line, and so a bad line loads nothing."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise StartRefused(f"cannot read the products file {path}: {error}") from error
    products: dict[str, Product] = {}
    # Split at line feeds alone: str.splitlines would also cut at characters that may stand in a name.
    for number, line in enumerate(text.split("\n"), start=1):
        try:
            fields = _fields(line)
            if not fields:
                continue
            product = _parse(fields)
            if product.name in products:
                raise Invalid(f"{product.name!r} stands twice")
        except (Invalid, ValueError) as error:
            raise StartRefused(f"{path}, line {number}: {error}; nothing was loaded") from error
        products[product.name] = product
    return list(products.values())


def _fields(line: str) -> list[str]:
    """The words of a line, quotes taken off. Unlike in a shell, a backslash is a character like any other."""
    words = shlex.shlex(line, posix=True)
    words.whitespace_split = True
    words.escape = ""
    return list(words)


def _parse(fields: list[str]) -> Product:
    if len(fields) == 4 and parse_whole_number(fields[0]) is not None:
        fields = fields[1:]  # a row number, as a dump of the documented initial state has it
    if len(fields) != 3:
        raise Invalid('a line is: name price quantity, with "quotes" around a name with spaces')
    name, price, quantity = fields
    return Product(parse_name(name), _parse_price(price), _parse_stock(quantity))


def _parse_price(text: str) -> int:
    match = _PRICE.fullmatch(text)
    if match is None:
        raise Invalid(f"the price {text!r} is not a number such as 25.99")
    price_cents = int(match[1]) * 100 + int((match[2] or "").ljust(2, "0"))
    if price_cents > MAX_PRICE_CENTS:
        raise Invalid(f"the price {text!r} is above {MAX_PRICE_CENTS // 100:,}")
    return price_cents


def _parse_stock(text: str) -> int:
    quantity = parse_whole_number(text)
    if quantity is None or quantity > MAX_STOCK:
        raise Invalid(f"the quantity {text!r} is not a whole number from 0 to {MAX_STOCK:,}")
    return quantity
