"""Reads the books (all rows of both databases) and checks the promises I1 to I4 and I6 of docs/architecture.md."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import apsw

from tests.support.audit import findings
from tests.support.waiting import wait_until

# The longest time that a buy may stay in doubt after the last fault or restart.
DRAIN_TIMEOUT_S = 30.0


def query(path: Path, sql: str) -> list[Any]:
    """Returns all rows of a query. It uses a new read-only connection."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        connection.set_busy_timeout(5_000)
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


@dataclass(frozen=True)
class Books:
    """The rows of both databases. Its checks hold only for books that were read while no buy was under way."""

    products: dict[str, int]  # stock by name
    ledger: list[tuple[str, int, int, str, str | None]]  # product, delta, balance, reason, key
    orders: list[tuple[int, str, str, int]]  # number, key, product, quantity
    refused: dict[str, str]  # in the order log: reason by key
    refused_by_catalog: dict[str, str]
    intents: list[str]  # keys of buys in doubt
    retired: frozenset[str] = frozenset()  # products
    returns: Sequence[tuple[str, int, int]] = ()  # key, order number, quantity
    sales_given_back: Sequence[tuple[str, str]] = ()  # in the ledger: key of the return, key of the sale
    return_intents: Sequence[str] = ()  # keys

    @classmethod
    def read(cls, data_dir: Path) -> "Books":
        """Returns the books now. While the store sells, each query may see a later moment than the one before."""
        return cls.read_by(partial(query, data_dir / "catalog.db"), partial(query, data_dir / "order.db"))

    @classmethod
    def read_by(cls, catalog: Callable[[str], list[Any]], log: Callable[[str], list[Any]]) -> "Books":
        """Returns the books now, by functions that run a query in the catalog and in the order log of any engine."""
        return cls(
            products=dict(catalog("SELECT name, quantity FROM products")),
            ledger=catalog("SELECT product, delta, balance, reason, key FROM stock_ledger ORDER BY entry"),
            orders=log("SELECT number, key, product, quantity FROM orders ORDER BY number"),
            refused=dict(log("SELECT key, reason FROM refused")),
            refused_by_catalog=dict(catalog("SELECT key, reason FROM refused")),
            intents=[key for (key,) in log("SELECT key FROM intents ORDER BY begun")],
            returns=log("SELECT key, number, quantity FROM returns ORDER BY entry"),
            sales_given_back=catalog("SELECT key, sale FROM stock_ledger WHERE reason = 'returned'"),
            return_intents=[key for (key,) in log("SELECT key FROM return_intents ORDER BY begun")],
            retired=frozenset(name for (name,) in catalog("SELECT name FROM products WHERE retired")),
        )

    @classmethod
    def at_rest(cls, data_dir: Path) -> "Books":
        """Returns the books once no buy or return is in doubt. Raises AssertionError after DRAIN_TIMEOUT_S."""
        wait_until(
            "I6: buys and returns in doubt drain by themselves",
            lambda: not query(data_dir / "order.db", "SELECT 1 FROM intents UNION ALL SELECT 1 FROM return_intents"),
            timeout_s=DRAIN_TIMEOUT_S,
            every_s=0.1,
        )
        return cls.read(data_dir)

    def check(self) -> None:
        """Asserts I1 to I4 and I6. I5 needs the replies: tests/support/history.py checks it."""
        self._check_stock()
        sold = [(key, product, -delta) for product, delta, _, reason, key in self.ledger if reason == "sold"]
        ordered = [(key, product, quantity) for _, key, product, quantity in self.orders]
        assert Counter(sold) == Counter(ordered), "I1, I3: the buys sold are the buys ordered"
        assert len({key for key, _, _ in sold}) == len(sold), "I3: a key is sold at most once"
        assert not self.refused.keys() & {key for key, _, _ in ordered}, "I3: a key is ordered or refused"
        assert self.refused.items() <= self.refused_by_catalog.items(), (
            "I3: each refusal in the log is one of the catalog's"
        )
        assert [number for number, *_ in self.orders] == list(range(len(self.orders))), "I4: 0 … n-1 without a gap"
        assert not self.intents, "I6: no buy is in doubt"
        self._check_returns()

    def _check_returns(self) -> None:
        bought = {number: (key, product, quantity) for number, key, product, quantity in self.orders}
        logged = [(key, bought[number][0], bought[number][1], quantity) for key, number, quantity in self.returns]
        sale_of = dict(self.sales_given_back)
        taken_back = [
            (key, sale_of[str(key)], product, delta)
            for product, delta, _, reason, key in self.ledger
            if reason == "returned"
        ]
        assert Counter(logged) == Counter(taken_back), "I1, I3: the pieces given back are those in the stock"
        assert len({key for key, *_ in logged}) == len(logged), "I3: a key gives back at most once"
        returned: Counter[int] = Counter()
        for _, number, quantity in self.returns:
            returned[number] += quantity
        for number, pieces in returned.items():
            assert pieces <= bought[number][2], f"I3: no more of order {number} is given back than was bought"
        assert not self.return_intents, "I6: no return is in doubt"

    def _check_stock(self) -> None:
        balances: dict[str, int] = {}
        for product, delta, balance, _, _ in self.ledger:
            balances[product] = balances.get(product, 0) + delta
            assert balance == balances[product], f"I1: the ledger of {product} adds up at every entry"
            assert balance >= 0, f"I2: {product} is never oversold"
        assert balances == self.products, "I1: the stock is the sum of its ledger"


def assert_audit_is_clean(data_dir: Path) -> None:
    """Asserts that the product's own audit finds nothing. It shares no code with Books. The store may run."""
    found = findings(data_dir)
    assert not found, "\n".join(found)
