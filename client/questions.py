"""Prompts for the options of the client when it is started without --mode."""

import itertools
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from client.format import format_product
from conf.arguments import as_typed
from conf.settings import SettingsError, parse_probability
from domain.errors import Invalid
from domain.values import Product, parse_name, parse_quantity, parse_whole_number

T = TypeVar("T")

# The largest buy in mode 1. It is small, so that a few rounds do not empty the store.
LARGEST_RANDOM_BUY = 5
# A longer list would scroll the question out of the terminal.
SHOWN_PRODUCTS = 20


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers of the user. In mode 1 `quantity` is the largest buy."""

    mode: int
    product: str
    quantity: int
    count: int
    p: float


def ask(default_p: Callable[[], float | None], products: Callable[[], Iterable[Product]]) -> Answers:
    """Prompts for each option and returns the answers. Exits with code 2 when the input ends early.

    Calls `default_p` only in mode 1, and `products` only before the prompt for a product. Raises their errors.
    """
    print("1  query random products and buy some of them\n2  query one product\n3  buy one product")
    mode = _prompt("Mode (1, 2, 3): ", _parse_mode)
    product, quantity, p = "", LARGEST_RANDOM_BUY, 0.0
    if mode == 1:
        given = default_p()
        p = _prompt("Probability of a buy (0 to 1): ", parse_probability) if given is None else given
    else:
        _print_products(products())
        product = _prompt("Product: ", parse_name)
    if mode == 3:
        quantity = _prompt("Quantity: ", parse_quantity)
    count = _prompt("Rounds: " if mode == 1 else "Times: ", parse_count)
    return Answers(mode, product, quantity, count, p)


def _print_products(products: Iterable[Product]) -> None:
    shown = list(itertools.islice(products, SHOWN_PRODUCTS + 1))
    for product in shown[:SHOWN_PRODUCTS]:
        print(f"  {format_product(product)}")
    if len(shown) > SHOWN_PRODUCTS:
        print("  and more")


def _prompt(question: str, parse: Callable[[str], T]) -> T:
    """Asks until the answer is valid."""
    while True:
        try:
            return parse(as_typed(input(question).strip()))
        except (Invalid, SettingsError) as error:
            print(f"  {error}")
        except EOFError:
            print("\nclient: the input ended before the last question; --help lists the flags", file=sys.stderr)
            sys.exit(2)


def _parse_mode(text: str) -> int:
    if text not in ("1", "2", "3"):
        raise Invalid("the mode is 1, 2 or 3")
    return int(text)


def parse_count(text: str) -> int:
    """Parses a number of rounds. Raises Invalid."""
    return parse_positive("the count", text, largest=100_000_000)


def parse_positive(what: str, text: str, largest: int) -> int:
    """Parses a whole number from 1 to `largest`. Raises Invalid, whose message calls the number `what`."""
    number = parse_whole_number(text)
    if number is None or not 1 <= number <= largest:
        raise Invalid(f"{what} is a whole number from 1 to {largest:,}")
    return number
