"""The interface of a system under load, and the products that all systems sell."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from bench.load import Request

# Products 0 to 999 are for the load and cannot sell out. Product 1,000 is for the try-out, which sells its only piece.
PRODUCTS = 1_000
LAST = PRODUCTS
STOCK = 1_000_000_000
PRICE = 25.99


class System(Protocol):
    """One system under load. Products are known by number, 0 to `LAST`; a buy takes one piece."""

    name: str
    about: str  # its parts
    durability: str  # the data that a power cut can lose, and the settings behind it

    def start(self, folder: Path) -> None:
        """Starts the system with its state in this folder. Raises AssertionError when it does not start."""

    @property
    def url(self) -> str:
        """Returns the address for the load, once the system has started."""

    @property
    def pids(self) -> Sequence[int]:
        """Returns the processes of the system. Their CPU time includes that of their descendants."""

    @property
    def database(self) -> Path | None:
        """Returns a database file that the system's SQLite has written; None without state."""

    def query(self, product: int) -> Request:
        """Returns the request that queries a product."""

    def buy(self, product: int) -> Request:
        """Returns the request that buys a piece of a product."""

    def stock_in(self, reply: Any) -> int:
        """Returns the stock in the JSON of a query's reply. Raises LookupError or TypeError when it is missing."""

    def order_in(self, reply: Any) -> str:
        """Returns the order number in the JSON of a buy's reply. Raises as `stock_in` does."""

    def check(self) -> None:
        """Raises AssertionError when a promise is broken. The caller waits until the system is at rest."""

    def stop(self) -> None:
        """Stops all processes of the system, also after a failed start."""


def product_name(product: int) -> str:
    """Returns the name of a product."""
    return f"p{product}"


def first_stock(product: int) -> int:
    """Returns the stock of a product before the load."""
    return 1 if product == LAST else STOCK


def all_products() -> range:
    """Returns the numbers of all products."""
    return range(LAST + 1)


def check_stock(stock: Mapping[str, int], ordered: Mapping[str, int]) -> None:
    """Asserts that no product is oversold, and that the pieces gone from each stock are the pieces ordered."""
    first = {product_name(product): first_stock(product) for product in all_products()}
    assert stock.keys() == first.keys(), "the products are not those that were loaded"
    assert ordered.keys() <= first.keys(), "there are orders of unknown products"
    for name, pieces in stock.items():
        assert pieces >= 0, f"{name} is oversold: its stock is {pieces}"
        gone = first[name] - pieces
        assert gone == ordered.get(name, 0), f"{gone} pieces of {name} are gone, {ordered.get(name, 0)} are ordered"
