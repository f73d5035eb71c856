"""The questions of the client where there is no --mode, one after the other."""

import itertools
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from client.words import offer
from conf.arguments import as_typed
from conf.settings import SettingsError, parse_probability
from domain.errors import Invalid
from domain.values import Product, parse_name, parse_quantity, parse_whole_number

T = TypeVar("T")

# In mode 1 a shopper takes at most so many pieces, so that a few rounds do not empty the store.
LARGEST_RANDOM_BUY = 5
# More would push the question out of sight.
SHOWN_PRODUCTS = 20


@dataclass(frozen=True, slots=True)
class Answers:
    """A shopper's answers; `quantity` in mode 1 is the most pieces of a buy."""

    mode: int
    product: str
    quantity: int
    count: int
    p: float


def ask(default_p: Callable[[], float | None], products: Callable[[], Iterable[Product]]) -> Answers:
    """The answers. Ends the program with exit code 2 at the end of the input. Raises what its arguments raise."""
    print("1  query random products and buy some of them\n2  query one product\n3  buy one product")
    mode = _answer("Mode (1, 2, 3): ", _parse_mode)
    product, quantity, p = "", LARGEST_RANDOM_BUY, 0.0
    if mode == 1:
        given = default_p()
        p = _answer("Probability of a buy (0 to 1): ", parse_probability) if given is None else given
    else:
        _show(products())
        product = _answer("Product: ", parse_name)
    if mode == 3:
        quantity = _answer("Quantity: ", parse_quantity)
    count = _answer("Rounds: " if mode == 1 else "Times: ", parse_count)
    return Answers(mode, product, quantity, count, p)


def _show(products: Iterable[Product]) -> None:
    shown = list(itertools.islice(products, SHOWN_PRODUCTS + 1))
    for product in shown[:SHOWN_PRODUCTS]:
        print(f"  {offer(product)}")
    if len(shown) > SHOWN_PRODUCTS:
        print("  and more")


def _answer(question: str, parse: Callable[[str], T]) -> T:
    while True:
        try:
            return parse(as_typed(input(question).strip()))
        except (Invalid, SettingsError) as error:
            print(f"  {error}")
        except EOFError:
            print("\nclient: the input ended before all was asked; see --help for flags", file=sys.stderr)
            sys.exit(2)


def _parse_mode(text: str) -> int:
    if text not in ("1", "2", "3"):
        raise Invalid("the mode is 1, 2 or 3")
    return int(text)


def parse_count(text: str) -> int:
    """Text from outside as a number of rounds. Raises Invalid."""
    return parse_from_1("the count", text, most=100_000_000)


def parse_from_1(what: str, text: str, most: int) -> int:
    """Text from outside as a whole number from 1 to `most`. Raises Invalid, which names it as `what`."""
    number = parse_whole_number(text)
    if number is None or not 1 <= number <= most:
        raise Invalid(f"{what} is a whole number from 1 to {most:,}")
    return number
