"""What the client is told: by flags, or by answers to its questions."""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from conf.arguments import argument
from conf.settings import SettingsError, parse_probability
from domain.errors import Invalid
from domain.values import parse_name, parse_quantity, parse_whole_number

T = TypeVar("T")

# In mode 1 a shopper takes at most so many pieces, so that a few rounds do not empty the store.
LARGEST_RANDOM_BUY = 5

_DESCRIPTION = """\
The toy store's shopper. Without --mode it asks for all it needs.

  mode 1   COUNT rounds: query a random product and, when some is left, buy a random quantity with probability P
  mode 2   query PRODUCT, COUNT times
  mode 3   buy QUANTITY of PRODUCT, COUNT times

A request without an answer is repeated for 10 s (2 s where nothing listens), a buy always under its own idempotency
key, so it is never made twice.
Exit code: 0 done, 1 the store does not answer, 2 wrong usage, 130 interrupted."""


@dataclass(frozen=True, slots=True)
class Options:
    """A series: `count` rounds in all, shared by `clients` shoppers at once."""

    mode: int
    product: str
    quantity: int
    count: int
    clients: int
    p: float
    seed: int | None
    json: bool


def from_command_line(arguments: list[str], default_p: float | None) -> Options:
    """The options, asked for when there is no --mode. Ends the program with exit code 2 on wrong usage."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.mode is None and given.json:
        parser.error("--json needs --mode: questions would stand in the JSON")
    if given.mode is None:
        asked = _ask(default_p)
        return Options(**asked, clients=given.clients, seed=given.seed, json=given.json)
    p = default_p if given.p is None else given.p
    if given.mode == 1 and p is None:
        parser.error("mode 1 needs --p (or the variable p)")
    if given.mode in (2, 3) and given.product is None:
        parser.error(f"mode {given.mode} needs --product")
    if given.mode == 3 and given.quantity is None:
        parser.error("mode 3 needs --quantity")
    return Options(
        mode=given.mode,
        product=given.product or "",
        quantity=given.quantity or LARGEST_RANDOM_BUY,
        count=given.count,
        clients=given.clients,
        p=p or 0.0,
        seed=given.seed,
        json=given.json,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="client", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--mode", type=int, choices=(1, 2, 3), help="what to do, see above")
    add("--product", type=argument(parse_name), metavar="NAME", help="modes 2 and 3: the product")
    add(
        "--quantity",
        type=argument(parse_quantity),
        metavar="N",
        help=f"mode 3: pieces a buy; mode 1: at most so many (default {LARGEST_RANDOM_BUY})",
    )
    add("--count", type=argument(_parse_count), default=1, metavar="N", help="rounds in all (default 1)")
    add("--clients", type=argument(_parse_clients), default=1, metavar="N", help="shoppers at once (default 1)")
    add("--p", type=argument(parse_probability), metavar="P", help="mode 1: probability of a buy (default: $p)")
    add("--seed", type=int, metavar="N", help="makes the random choices the same in each run")
    add("--json", action="store_true", help="the result as JSON, and no progress bar; needs --mode")
    return parser


def _ask(default_p: float | None) -> dict[str, Any]:
    print("1  query random products and buy some of them\n2  query one product\n3  buy one product")
    mode = _answer("Mode (1, 2, 3): ", _parse_mode)
    product, quantity, p = "", LARGEST_RANDOM_BUY, 0.0
    if mode == 1:
        p = _answer("Probability of a buy (0 to 1): ", parse_probability) if default_p is None else default_p
    else:
        product = _answer("Product: ", parse_name)
    if mode == 3:
        quantity = _answer("Quantity: ", parse_quantity)
    count = _answer("Rounds: " if mode == 1 else "Times: ", _parse_count)
    return {"mode": mode, "product": product, "quantity": quantity, "count": count, "p": p}


def _answer(question: str, parse: Callable[[str], T]) -> T:
    """The answer, asked for until it is one. Ends the program with exit code 2 at the end of the input."""
    while True:
        try:
            return parse(input(question).strip())
        except (Invalid, SettingsError) as error:
            print(f"  {error}")
        except EOFError:
            print("\nclient: the input ended before all was asked; see --help for flags", file=sys.stderr)
            sys.exit(2)


def _parse_mode(text: str) -> int:
    if text not in ("1", "2", "3"):
        raise Invalid("the mode is 1, 2 or 3")
    return int(text)


def _parse_count(text: str) -> int:
    return _parse_from_1("the count", text, most=100_000_000)


def _parse_clients(text: str) -> int:
    return _parse_from_1("the number of clients", text, most=1_000)


def _parse_from_1(what: str, text: str, most: int) -> int:
    number = parse_whole_number(text)
    if number is None or not 1 <= number <= most:
        raise Invalid(f"{what} is a whole number from 1 to {most:,}")
    return number
