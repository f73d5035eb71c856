"""Parses the options of the client from flags, or prompts for them."""

import argparse
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass

from client.questions import LARGEST_RANDOM_BUY, ask, parse_count, parse_positive
from conf.arguments import Parser, argument
from conf.settings import MAX_PATIENCE_S, PATIENCE_S, parse_probability
from conf.version import __version__
from domain.values import Product, parse_name, parse_quantity

_DESCRIPTION = """\
Queries the toy store and buys from it. Without --mode it shows the products and prompts for its options.

  mode 1   COUNT rounds: query a random product and, when some is left, buy a random quantity with probability P
  mode 2   query PRODUCT, COUNT times
  mode 3   buy QUANTITY of PRODUCT, COUNT times

FRONT is the address of the store; a store at https://host must have a certificate that this machine trusts
(SSL_CERT_FILE adds others). A request without an answer is repeated for --patience seconds (2 s where nothing listens),
a buy always under its own idempotency key, so it is never made twice. No redirect is followed."""

_EXIT_CODES = """\
Exit code: 0 done; 1 the store does not answer, or it refused a single query or buy, for example with "product not
found" or "out of stock" (a series, with N above 1, counts refusals as outcomes); 2 wrong usage or a wrong setting;
130 interrupted. A buy that was made exits with 0 even when its report cannot be printed."""


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a series: `count` rounds in all, split between `clients` parallel shoppers."""

    mode: int
    product: str
    quantity: int
    count: int
    clients: int
    p: float
    seed: int | None
    json: bool
    patience_s: int = PATIENCE_S

    @property
    def is_single(self) -> bool:
        """Whether the series is one query or one buy of a named product."""
        return self.mode in (2, 3) and self.count == 1


def from_command_line(
    arguments: list[str],
    default_p: Callable[[], float | None],
    products: Callable[[int], Iterable[Product]],
    default_patience_s: int = PATIENCE_S,
) -> Options:
    """Returns the options, and prompts for them when there is no --mode. Exits with code 2 on wrong usage.

    Calls `default_p` (the environment variable p) only in mode 1, and `products`, with the patience in seconds, only
    before the prompts. Raises their errors.
    """
    parser = _parser(default_patience_s)
    with parser.reporting_wrong_usage(arguments):
        given = parser.parse_args(arguments)
        if given.mode is None and given.json:
            parser.error("--json needs --mode: prompts would be mixed with the JSON")
        if given.mode is None:
            asked = ask(default_p, lambda: products(given.patience))
            flags = {"clients": given.clients, "seed": given.seed, "patience_s": given.patience}
            return Options(**asdict(asked), **flags, json=False)
        return _from_flags(parser, given, default_p)


def _from_flags(parser: Parser, given: argparse.Namespace, default_p: Callable[[], float | None]) -> Options:
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
        patience_s=given.patience,
    )


def _parser(default_patience_s: int) -> Parser:
    parser = Parser(
        prog="python -m client",
        description=_DESCRIPTION,
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--version", action="version", version=f"toystore {__version__}", help="the version of the store")
    add("--mode", type=int, choices=(1, 2, 3), help="see above")
    add("--product", type=argument(parse_name), metavar="NAME", help="modes 2 and 3: the product")
    add(
        "--quantity",
        type=argument(parse_quantity),
        metavar="N",
        help=f"mode 3: pieces a buy; mode 1: the largest buy (default {LARGEST_RANDOM_BUY})",
    )
    add("--count", type=argument(parse_count), default=1, metavar="N", help="rounds in all (default 1)")
    add("--clients", type=argument(_parse_clients), default=1, metavar="N", help="parallel shoppers (default 1)")
    add("--p", type=argument(parse_probability), metavar="P", help="mode 1: probability of a buy (default: $p)")
    add(
        "--patience",
        type=argument(_parse_patience),
        default=default_patience_s,
        metavar="S",
        help=f"seconds for which a request is repeated (default: $PATIENCE_S, here {default_patience_s})",
    )
    add("--seed", type=int, metavar="N", help="seed of the random choices, so that a run can be repeated")
    add("--json", action="store_true", help="print the result as JSON, without a progress bar; needs --mode")
    return parser


def _parse_clients(text: str) -> int:
    return parse_positive("the number of clients", text, largest=1_000)


def _parse_patience(text: str) -> int:
    return parse_positive("the patience", text, largest=MAX_PATIENCE_S)
