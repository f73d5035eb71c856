"""What the program asks of each system, and the products that all of them sell."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from bench.load import Request

# Products 0 to 999 are for the load and do not sell out; the last is for the try-out, which does sell it out.
PRODUCTS = 1_000
LAST = PRODUCTS
STOCK = 1_000_000_000
PRICE = 25.99


class System(Protocol):
    """One system under load. Products are known by number, 0 to `LAST`; a buy takes one piece."""

    name: str
    about: str  # what it consists of
    durability: str  # what a power cut can take, and by which settings

    def start(self, folder: Path) -> None:
        """Serve with state in this folder, which is its own. Raises AssertionError when it does not come up."""

    @property
    def url(self) -> str: ...

    @property
    def pids(self) -> Sequence[int]:
        """The processes whose CPU time, with that of their descendants, is this system's."""

    @property
    def database(self) -> Path | None:
        """A file that its SQLite has written; None when it has no state."""

    def query(self, product: int) -> Request: ...

    def buy(self, product: int) -> Request: ...

    def stock_in(self, reply: Any) -> int:
        """The stock in the JSON of a query's reply. Raises LookupError or TypeError when it is not there."""

    def order_in(self, reply: Any) -> str:
        """The number of the order in the JSON of a buy's reply. Raises like `stock_in`."""

    def check(self) -> None:
        """Raises AssertionError when a promise is broken. Call it at rest, some time after the load."""

    def stop(self) -> None:
        """End all that was started, also after a start that failed."""


def product_name(product: int) -> str:
    return f"p{product}"


def first_stock(product: int) -> int:
    return 1 if product == LAST else STOCK


def all_products() -> range:
    return range(LAST + 1)


def check_stock(stock: Mapping[str, int], ordered: Mapping[str, int]) -> None:
    """Asserts of each product that none was oversold and that each piece that left has its order, and vice versa."""
    first = {product_name(product): first_stock(product) for product in all_products()}
    assert stock.keys() == first.keys(), "the products are not those that were loaded"
    assert ordered.keys() <= first.keys(), "there are orders of unknown products"
    for name, pieces in stock.items():
        assert pieces >= 0, f"{name} is oversold: its stock is {pieces}"
        gone = first[name] - pieces
        assert gone == ordered.get(name, 0), f"{gone} pieces of {name} are gone, {ordered.get(name, 0)} are ordered"
