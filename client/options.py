"""The options of the client: from flags, or from answers to its questions."""

import argparse
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass

from client.questions import LARGEST_RANDOM_BUY, ask, parse_count, parse_from_1
from conf.arguments import Parser, argument
from conf.settings import parse_probability
from conf.version import __version__
from domain.values import Product, parse_name, parse_quantity

_DESCRIPTION = """\
The toy store's shopper. Without --mode it asks for all it needs, and shows the products.

  mode 1   COUNT rounds: query a random product and, when some is left, buy a random quantity with probability P
  mode 2   query PRODUCT, COUNT times
  mode 3   buy QUANTITY of PRODUCT, COUNT times

FRONT says where the store is; a store at https://host must have a certificate that this machine trusts (SSL_CERT_FILE
names others). A request without an answer is repeated for 10 s (2 s where nothing listens), a buy always under its own
idempotency key, so it is never made twice. No redirect is followed."""

_EXIT_CODES = """\
Exit code: 0 done; 1 the store does not answer, or its answer to a single query or buy is a no, such as "product not
found" or "out of stock" (in a series, N above 1, each is counted as an outcome); 2 wrong usage or a wrong setting;
130 interrupted. A buy that was made is done, also when its report cannot be printed."""


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

    @property
    def is_single(self) -> bool:
        """Whether it is one query, or one buy, of a product that somebody has named."""
        return self.mode in (2, 3) and self.count == 1


def from_command_line(
    arguments: list[str], default_p: Callable[[], float | None], products: Callable[[], Iterable[Product]]
) -> Options:
    """The options, asked for when there is no --mode. Ends the program with exit code 2 on wrong usage.

    `default_p` (the variable p) is asked for in mode 1 alone, and `products` where one has to choose. Raises what these
    raise.
    """
    parser = _parser()
    with parser.wrong_usage_told(arguments):
        given = parser.parse_args(arguments)
        if given.mode is None and given.json:
            parser.error("--json needs --mode: questions would stand in the JSON")
        if given.mode is None:
            asked = ask(default_p, products)
            return Options(**asdict(asked), clients=given.clients, seed=given.seed, json=False)
        return _given(parser, given, default_p)


def _given(parser: Parser, given: argparse.Namespace, default_p: Callable[[], float | None]) -> Options:
    p: float | None = 0.0
    if given.mode == 1:
        p = default_p() if given.p is None else given.p
    if p is None:
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
        p=p,
        seed=given.seed,
        json=given.json,
    )


def _parser() -> Parser:
    parser = Parser(
        prog="python -m client",
        description=_DESCRIPTION,
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--version", action="version", version=f"toystore {__version__}", help="the version of the store")
    add("--mode", type=int, choices=(1, 2, 3), help="what to do, see above")
    add("--product", type=argument(parse_name), metavar="NAME", help="modes 2 and 3: the product")
    add(
        "--quantity",
        type=argument(parse_quantity),
        metavar="N",
        help=f"mode 3: pieces a buy; mode 1: at most so many (default {LARGEST_RANDOM_BUY})",
    )
    add("--count", type=argument(parse_count), default=1, metavar="N", help="rounds in all (default 1)")
    add("--clients", type=argument(_parse_clients), default=1, metavar="N", help="shoppers at once (default 1)")
    add("--p", type=argument(parse_probability), metavar="P", help="mode 1: probability of a buy (default: $p)")
    add("--seed", type=int, metavar="N", help="makes the random choices the same in each run")
    add("--json", action="store_true", help="the result as JSON, and no progress bar; needs --mode")
    return parser


def _parse_clients(text: str) -> int:
    return parse_from_1("the number of clients", text, most=1_000)
