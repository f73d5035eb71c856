"""Prompts for the options of the client when it is started without --mode."""

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from client.format import format_product
from conf.arguments import as_typed
from conf.settings import parse_probability
from conf.variables import SettingsError
from domain.errors import Invalid
from domain.values import Product, parse_name, parse_quantity, parse_whole_number

T = TypeVar("T")

# The largest buy in mode 1. It is small, so that a few rounds do not empty the store.
LARGEST_RANDOM_BUY = 5
# The products that the menu shows at once: more would scroll the question out of the terminal.
SHOWN_PRODUCTS = 20


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers of the user. In mode 1 `quantity` is the largest buy."""

    mode: int
    product: str
    quantity: int
    count: int
    p: float


class _ProductMenu:
    """Prints the products by pages. An empty answer to the question for a product shows the next page."""

    def __init__(self, products: Iterable[Product]) -> None:
        self._products = iter(products)
        self._next = next(self._products, None)  # the first product of the next page
        if self._next is None:
            print("The store has no products.")

    def print_page(self) -> None:
        """Prints the next page, and says whether there is another."""
        for _ in range(SHOWN_PRODUCTS):
            if self._next is None:
                return
            print(f"  {format_product(self._next)}")
            self._next = next(self._products, None)
        if self._next is not None:
            print("  and more: an empty answer to the question for a product shows them")

    def parse_name(self, text: str) -> str:
        """Returns the text as a product's name; "" when the user wants to see the next page. Raises Invalid."""
        return parse_name(text) if text or self._next is None else ""


def ask(default_p: Callable[[], float | None], products: Callable[[], Iterable[Product]]) -> Answers:
    """Shows the products, prompts for each option and returns the answers. Exits with code 2 if the input ends early.

    Calls `default_p` only in mode 1. Raises the errors of both functions.
    """
    menu = _ProductMenu(products())
    menu.print_page()
    print("1  query random products and buy some of them\n2  query one product\n3  buy one product")
    mode = _prompt("Mode (1, 2, 3): ", _parse_mode)
    product, quantity, p = "", LARGEST_RANDOM_BUY, 0.0
    if mode == 1:
        given = default_p()
        p = _prompt("Probability of a buy (0 to 1): ", parse_probability) if given is None else given
    else:
        while not (product := _prompt("Product: ", menu.parse_name)):
            menu.print_page()
    if mode == 3:
        quantity = _prompt("Quantity: ", parse_quantity)
    count = _prompt("Rounds: " if mode == 1 else "Times: ", parse_count)
    return Answers(mode, product, quantity, count, p)


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
