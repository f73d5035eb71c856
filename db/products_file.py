"""Reads the file of a new store's first products: a name, a price and a quantity on each line."""

import shlex
from pathlib import Path

from db.start import StartRefused
from domain.errors import Invalid
from domain.names import parse_new_name, visible_form
from domain.values import Product, parse_price, parse_stock, parse_whole_number


def read_products(path: Path) -> list[Product]:
    """Returns the products in the file. Raises StartRefused with the line's number for a malformed line."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise StartRefused(f"cannot read the products file {path} (PRODUCTS): {error}") from error
    products: dict[str, Product] = {}
    alike: dict[str, str] = {}
    # Not str.splitlines, which also splits at characters that a name may contain.
    for number, line in enumerate(text.split("\n"), start=1):
        try:
            fields = _fields(line)
            if not fields:
                continue
            product = _parse(fields)
            if product.name in products:
                raise Invalid(f"{product.name!r} stands twice")
            if (other := alike.setdefault(visible_form(product.name), product.name)) != product.name:
                raise Invalid(f"{product.name!a} looks like {other!a}")
        except (Invalid, ValueError) as error:
            raise StartRefused(f"{path}, line {number}: {error}; nothing was loaded") from error
        products[product.name] = product
    return list(products.values())


def _fields(line: str) -> list[str]:
    """Splits a line into words and removes quotes. Unlike in a shell, a backslash is an ordinary character."""
    words = shlex.shlex(line, posix=True)
    words.whitespace_split = True
    words.escape = ""
    return list(words)


def _parse(fields: list[str]) -> Product:
    if len(fields) == 4 and parse_whole_number(fields[0]) is not None:
        fields = fields[1:]  # the row number that a dump of the documented initial state has
    if len(fields) != 3:
        raise Invalid('a line is: name price quantity, with "quotes" around a name with spaces')
    name, price, quantity = fields
    return Product(parse_new_name(name), parse_price(price), parse_stock(quantity))
