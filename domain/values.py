"""The values that all layers use, and the parsers that make them from text from outside."""

import re
import unicodedata
from dataclasses import dataclass

from domain.errors import Invalid, Refused

MAX_NAME_CHARACTERS = 64
MAX_QUANTITY = 1_000_000
MAX_KEY_CHARACTERS = 128
MAX_PRICE_CENTS = 100_000_000_000
MAX_STOCK = 1_000_000_000
MAX_NOTE_CHARACTERS = 500

# Control characters (Cc) would end a line in a table or control a terminal. Halves of a surrogate pair (Cs) may stand
# in JSON, and UTF-8 cannot encode them. unicodedata.category() of each character takes four times as long.
_CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_WHOLE_NUMBER = re.compile(r"0*([0-9]{1,18})")
_PRICE = re.compile(r"(-?)0*([0-9]+)(?:\.([0-9]+))?")
_VISIBLE_ASCII_BUT_A_COMMA = re.compile(r"[\x21-\x2b\x2d-\x7e]+")


@dataclass(frozen=True, slots=True)
class Product:
    """A product as a shopper sees it. `quantity` is the stock, in pieces."""

    name: str
    price_cents: int
    quantity: int


@dataclass(frozen=True, slots=True)
class Buy:
    """A request to buy. However often it is sent under its idempotency key, it is one buy."""

    key: str
    product: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Sold:
    """The pieces are taken from the stock. `price_cents` was the price of one piece at that moment."""

    price_cents: int


@dataclass(frozen=True, slots=True)
class Order:
    """An order of the order log. `price_cents` is the price of one piece, `time` is UTC in ISO 8601."""

    number: int
    product: str
    quantity: int
    price_cents: int
    time: str


@dataclass(frozen=True, slots=True)
class KnownBuy:
    """A buy that the order log knows. `outcome` is its order or its refusal; None while the buy is in doubt."""

    buy: Buy
    outcome: Order | Refused | None
    returned: int = 0  # pieces of the order that were given back


def parse_name(text: str) -> str:
    """Returns the text as a product name in NFC. Raises Invalid."""
    name = unicodedata.normalize("NFC", text)
    if not name:
        raise Invalid("the product name is empty")
    if len(name) > MAX_NAME_CHARACTERS:
        raise Invalid(f"the product name is longer than {MAX_NAME_CHARACTERS} characters")
    if _CONTROL_CHARACTER.search(name):
        raise Invalid("the product name has a control character")
    if "/" in name:
        raise Invalid("the product name has a '/'")
    return name


def fold(text: str) -> str:
    """Returns a name, or a part of one, as searches compare it: without upper and lower case, in every script."""
    # casefold() gives the Turkish İ a second dot above its i, which nobody types.
    return text.casefold().replace("i\u0307", "i")


def parse_quantity(text: str) -> int:
    """Returns the text as a number of pieces, 1 to MAX_QUANTITY. Raises Invalid."""
    number = parse_whole_number(text)
    if number is None:
        raise Invalid("the quantity is not a whole number in ASCII digits")
    return check_quantity(number)


def check_quantity(number: int) -> int:
    """Returns the same number of pieces. Raises Invalid outside 1 to MAX_QUANTITY."""
    if number < 1:
        raise Invalid("the quantity is below 1")
    if number > MAX_QUANTITY:
        raise Invalid(f"the quantity is above {MAX_QUANTITY:,}")
    return number


def parse_whole_number(text: str) -> int | None:
    """Returns a whole number of at most 18 ASCII digits, leading zeros not counted; None for any other text.

    Every number of 18 digits fits an INTEGER of SQLite.
    """
    match = _WHOLE_NUMBER.fullmatch(text)
    return int(match[1]) if match else None


def parse_price(text: str) -> int:
    """Returns a text such as 25.99 as a price in cents. Raises Invalid."""
    match = _PRICE.fullmatch(text)
    if match is None:
        raise Invalid(f"the price {text!r} is not a number such as 25.99")
    sign, whole, cents = match.groups(default="")
    if sign:
        raise Invalid(f"the price {text!r} is below 0")
    if len(cents) > 2:
        raise Invalid(f"the price {text!r} has more than 2 digits after the point")
    # The length is checked first, because int() raises for more than some thousand digits.
    if len(whole) > 10 or (price_cents := int(whole) * 100 + int(cents.ljust(2, "0"))) > MAX_PRICE_CENTS:
        raise Invalid(f"the price {text!r} is above {MAX_PRICE_CENTS // 100:,}")
    return price_cents


def parse_stock(text: str, least: int = 0) -> int:
    """Returns the text as a number of pieces in stock, `least` to MAX_STOCK. Raises Invalid."""
    quantity = parse_whole_number(text)
    if quantity is None or not least <= quantity <= MAX_STOCK:
        raise Invalid(f"the quantity {text!r} is not a whole number from {least} to {MAX_STOCK:,}")
    return quantity


def parse_note(text: str) -> str:
    """Returns the text as the owner's reason for a change, in NFC and without blanks around it. Raises Invalid."""
    note = unicodedata.normalize("NFC", text).strip()
    if _CONTROL_CHARACTER.search(note):
        raise Invalid("the note has a control character")
    # The categories Z, separators, and C, invisible characters.
    if all(unicodedata.category(character)[0] in "ZC" for character in note):
        raise Invalid("the note is empty")
    if len(note) > MAX_NOTE_CHARACTERS:
        raise Invalid(f"the note is longer than {MAX_NOTE_CHARACTERS} characters")
    return note


def parse_key(text: str, called: str = "the Idempotency-Key", max_characters: int = MAX_KEY_CHARACTERS) -> str:
    """Returns the text as an idempotency key. Raises Invalid, which names it as `called`."""
    if not text:
        raise Invalid(f"{called} is empty")
    # A comma joins two headers of one name, so a key with a comma could be two keys.
    if len(text) > max_characters or not _VISIBLE_ASCII_BUT_A_COMMA.fullmatch(text):
        raise Invalid(f"{called} is not 1 to {max_characters} visible ASCII characters without a comma")
    return text
