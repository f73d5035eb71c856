"""The file of the first products: a name, a price and a quantity on each line."""

import shlex
from pathlib import Path

from db.connection import StartRefused
from domain.errors import Invalid
from domain.names import looks, parse_new_name
from domain.values import Product, parse_price, parse_stock, parse_whole_number


def read_products(path: Path) -> list[Product]:
    """The products in the file. Raises StartRefused, naming the line, and so a bad line loads nothing."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise StartRefused(f"cannot read the products file {path} (PRODUCTS): {error}") from error
    products: dict[str, Product] = {}
    alike: dict[str, str] = {}
    # Split at line feeds alone: str.splitlines would also cut at characters that may stand in a name.
    for number, line in enumerate(text.split("\n"), start=1):
        try:
            fields = _fields(line)
            if not fields:
                continue
            product = _parse(fields)
            if product.name in products:
                raise Invalid(f"{product.name!r} stands twice")
            if (other := alike.setdefault(looks(product.name), product.name)) != product.name:
                raise Invalid(f"{product.name!a} looks like {other!a}")
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
    return Product(parse_new_name(name), parse_price(price), parse_stock(quantity))
