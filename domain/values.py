"""The values that travel between the layers, and the one place where text from outside becomes one of them."""

import re
import unicodedata
from dataclasses import dataclass

from domain.errors import Invalid

MAX_NAME_CHARACTERS = 64
MAX_QUANTITY = 1_000_000
MAX_KEY_CHARACTERS = 128
MAX_PRICE_CENTS = 100_000_000_000
MAX_STOCK = 1_000_000_000

_WHOLE_NUMBER = re.compile(r"0*([0-9]{1,18})")
_PRICE = re.compile(r"([0-9]{1,10})(?:\.([0-9]{1,2}))?")
_VISIBLE_ASCII = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class Product:
    """What a shopper sees. `quantity` is the stock, in pieces."""

    name: str
    price_cents: int
    quantity: int


@dataclass(frozen=True, slots=True)
class ProductPage:
    """Products by name. `after` is where the next page starts, None on the last."""

    products: tuple[Product, ...]
    after: str | None


@dataclass(frozen=True, slots=True)
class Buy:
    """A wish to buy. The key makes it one buy however often it is sent."""

    key: str
    product: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Sold:
    """The catalog's yes: the stock is taken. `price_cents` is the unit price at that moment."""

    price_cents: int


@dataclass(frozen=True, slots=True)
class Order:
    """A line of the order log. `price_cents` is for one piece, `time` is UTC in ISO 8601."""

    number: int
    product: str
    quantity: int
    price_cents: int
    time: str


def parse_name(text: str) -> str:
    """Text from outside as a product name in NFC. Raises Invalid."""
    name = unicodedata.normalize("NFC", text)
    if not name:
        raise Invalid("the product name is empty")
    if len(name) > MAX_NAME_CHARACTERS:
        raise Invalid(f"the product name is longer than {MAX_NAME_CHARACTERS} characters")
    # Cc: control characters; Cs: half of a surrogate pair, which JSON can smuggle in and UTF-8 cannot carry.
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
        raise Invalid("the product name has a control character")
    if "/" in name:
        raise Invalid("the product name has a '/'")
    return name


def parse_new_name(text: str) -> str:
    """Text from outside as the name of a product to come. Raises Invalid for what nobody could ask for, or see."""
    name = parse_name(text)
    if name != name.strip():
        raise Invalid(f"the product name {name!r} begins or ends with a blank")
    if name in (".", ".."):
        raise Invalid(f"the product name {name!r} is one that browsers and curl take out of a path")
    return name


def parse_quantity(text: str) -> int:
    """Text from outside as a number of pieces, 1 to MAX_QUANTITY. Raises Invalid."""
    number = parse_whole_number(text)
    if number is None:
        raise Invalid("the quantity is not a whole number in ASCII digits")
    return check_quantity(number)


def check_quantity(number: int) -> int:
    """The same number of pieces. Raises Invalid outside 1 to MAX_QUANTITY."""
    if number < 1:
        raise Invalid("the quantity is below 1")
    if number > MAX_QUANTITY:
        raise Invalid(f"the quantity is above {MAX_QUANTITY:,}")
    return number


def parse_whole_number(text: str) -> int | None:
    """A whole number of at most 18 ASCII digits behind leading zeros, else None. 18 digits fit SQLite's INTEGER."""
    match = _WHOLE_NUMBER.fullmatch(text)
    return int(match[1]) if match else None


def parse_price(text: str) -> int:
    """Text from outside such as 25.99 as a price in cents. Raises Invalid."""
    match = _PRICE.fullmatch(text)
    if match is None:
        raise Invalid(f"the price {text!r} is not a number such as 25.99, without a third decimal")
    price_cents = int(match[1]) * 100 + int((match[2] or "").ljust(2, "0"))
    if price_cents > MAX_PRICE_CENTS:
        raise Invalid(f"the price {text!r} is above {MAX_PRICE_CENTS // 100:,}")
    return price_cents


def parse_stock(text: str) -> int:
    """Text from outside as the stock of a product, 0 to MAX_STOCK pieces. Raises Invalid."""
    quantity = parse_whole_number(text)
    if quantity is None or quantity > MAX_STOCK:
        raise Invalid(f"the quantity {text!r} is not a whole number from 0 to {MAX_STOCK:,}")
    return quantity


def parse_key(text: str) -> str:
    """Text from outside as an idempotency key. Raises Invalid."""
    if not 1 <= len(text) <= MAX_KEY_CHARACTERS or not _VISIBLE_ASCII.fullmatch(text):
        raise Invalid(f"the Idempotency-Key is not 1 to {MAX_KEY_CHARACTERS} visible ASCII characters")
    # A server, or a proxy on the way, joins a header that stands twice by a comma: which of the two is meant?
    if "," in text:
        raise Invalid("the Idempotency-Key stands twice or has a comma")
    return text
