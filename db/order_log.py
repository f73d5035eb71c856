"""Decides a batch at the order log, on every engine: how each buy begins and ends, and which rows say so.

The keys of a batch are different, so no buy of it depends on another: see `with_distinct_keys`. The last functions read
orders and buys from the rows of the log.
"""

import hmac
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from domain.errors import REFUSALS, KeyReused, OrderNotFound, Refused
from domain.protocols import Placed, Sale
from domain.values import Buy, KnownBuy, Order, Sold

T = TypeVar("T")

# The row of a key in the log: the key, product and quantity of the buy, the number of its order, the message of its
# refusal. A key that the log does not know has no product, and a buy in doubt neither number nor message.
Row = tuple[str, str | None, int | None, int | None, str | None]


class Logged(NamedTuple):
    """The buy that the log has under a key, None for a new key, and how it ended, None while it is in doubt."""

    buy: Buy | None
    outcome: int | Refused | None


_NEW = Logged(None, None)


def logged_by_key(rows: Iterable[Row]) -> dict[str, Logged]:
    """Returns what the log has under each key. The end of a buy stands before a buy in doubt under the same key."""
    logged: dict[str, Logged] = {}
    for key, product, quantity, number, reason in rows:
        if product is not None and quantity is not None and logged.get(key, _NEW).outcome is None:
            logged[key] = Logged(Buy(key, product, quantity), number if reason is None else REFUSALS[reason]())
    return logged


class Beginning(NamedTuple):
    """How a batch begins: None for a buy that may go on, else its outcome; and the rows of new intents."""

    outcomes: list[Placed | None]
    intents: list[dict[str, Any]]


def decide_beginning(buys: Mapping[str, Buy], logged: Mapping[str, Logged]) -> Beginning:
    """Decides how each buy begins, by key and in their order."""
    outcomes: list[Placed | None] = []
    intents = []
    for key, buy in buys.items():
        known, outcome = logged.get(key, _NEW)
        outcomes.append(outcome if known in (buy, None) else KeyReused())
        if known is None:
            intents.append(row(buy))
    return Beginning(outcomes, intents)


class Ending(NamedTuple):
    """How a batch ends: by key what is known already, and the rows of new refusals and orders, not yet numbered."""

    placed: dict[str, Placed]
    orders: list[dict[str, Any]]
    refusals: list[dict[str, Any]]


def decide_ending(sales: Mapping[str, tuple[Buy, Sale]], logged: Mapping[str, Logged]) -> Ending:
    """Decides how each buy ends, by key. The orders come in the order of the sales, in which they are numbered."""
    # Another thread, or the recovery, may have logged the same buy meanwhile: then the outcome in the log stands.
    placed: dict[str, Placed] = {}
    orders, refusals = [], []
    for key, (buy, sale) in sales.items():
        known, outcome = logged.get(key, _NEW)
        if outcome is not None:
            placed[key] = outcome if known == buy else KeyReused()
        elif isinstance(sale, Sold):
            orders.append(row(buy) | {"price_cents": sale.price_cents})
        else:
            placed[key] = sale
            if isinstance(sale, Refused):
                refusals.append(row(buy) | {"reason": sale.message})
    return Ending(placed, orders, refusals)


def row(buy: Buy) -> dict[str, Any]:
    """Returns the columns of a buy."""
    return {"key": buy.key, "product": buy.product, "quantity": buy.quantity}


def with_distinct_keys(rows: Iterable[tuple[str, T]]) -> Iterator[dict[str, T]]:
    """Yields the rows in their order, in groups of distinct keys. A key that comes again begins a new group.

    A group reads what the group before has written, so each buy finds the log as if the buys had come one by one.
    """
    group: dict[str, T] = {}
    for key, value in rows:
        if key in group:
            yield group
            group = {}
        group[key] = value
    if group:
        yield group


def order_of_key(rows: Sequence[Sequence[Any]], key: str | None) -> Order:
    """Returns the order from its row, which begins with its key. Raises OrderNotFound for no row or another `key`."""
    if not rows:
        raise OrderNotFound
    order_key, *order = rows[0]
    # The time of this comparison does not tell how much of a guessed key was right.
    if key is not None and not hmac.compare_digest(key.encode(), order_key.encode()):
        raise OrderNotFound
    return Order(*order)


def known_buy(
    key: str,
    product: str | None,
    quantity: int,
    number: int | None,
    price_cents: int,
    time: str,
    reason: str | None,
    returned: int | None,
) -> KnownBuy | None:
    """Returns a buy from the columns of the log, see Orders.find; None for an unknown key, which has no product."""
    if product is None:
        return None
    buy = Buy(key, product, quantity)
    if number is not None:
        return KnownBuy(buy, Order(number, product, quantity, price_cents, time), returned or 0)
    return KnownBuy(buy, None if reason is None else REFUSALS[reason]())
