"""Decides a batch of buys: how each ends, and which rows say so. It is the same on every engine, and asks nothing."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from domain.errors import REFUSALS, KeyReused, OutOfStock, ProductNotFound
from domain.protocols import Sale
from domain.values import Buy, Product, Sold

# The reason for which pieces leave the stock: a sale to the order tier, or a direct decrement at the catalog.
Reason = Literal["sold", "decrement"]
# The outcome under a key: the key, product, quantity and reason of the buy, the price of one piece in cents, and the
# message of a refusal. A refusal has no price, and the reason that is asked for, because it answers both reasons alike.
Outcome = tuple[str, str, int, str, int | None, str | None]


class Decision(NamedTuple):
    """The outcome of each buy of a batch, in their order, and the rows that must be stored before it is told."""

    sales: list[Sale]
    entries: list[dict[str, Any]]  # of the stock ledger, see ledger_entry
    refusals: list[dict[str, Any]]


def decide(buys: Sequence[Buy], reason: Reason, outcomes: Iterable[Outcome], stock: Mapping[str, Product]) -> Decision:
    """Decides each buy in turn, as if it came alone.

    `outcomes` are those of all keys of the batch that have one. `stock` has the products of the batch that are for
    sale, by name. Neither may change before the decision is stored.
    """
    ended: dict[str, tuple[tuple[str, int, str], Sale]] = {
        key: ((product, quantity, taken_as), REFUSALS[str(refusal)]() if price_cents is None else Sold(price_cents))
        for key, product, quantity, taken_as, price_cents, refusal in outcomes
    }
    left = dict(stock)
    entries, refusals = [], []
    sales: list[Sale] = []
    for buy in buys:
        asked = buy.product, buy.quantity, reason
        if buy.key not in ended:
            product = left.get(buy.product)
            if product is None or product.quantity < buy.quantity:
                refusal = OutOfStock() if product else ProductNotFound()
                row = {"key": buy.key, "product": buy.product, "quantity": buy.quantity, "reason": refusal.message}
                refusals.append(row)
                ended[buy.key] = asked, refusal
            else:
                entries.append(ledger_entry(product, -buy.quantity, reason, buy.key))
                left[buy.product] = Product(product.name, product.price_cents, product.quantity - buy.quantity)
                ended[buy.key] = asked, Sold(product.price_cents)
        known, sale = ended[buy.key]
        sales.append(sale if known == asked else KeyReused())
    return Decision(sales, entries, refusals)


def ledger_entry(product: Product, delta: int, reason: str, key: str | None, note: str | None = None) -> dict[str, Any]:
    """Returns the row of a change of the stock in the stock ledger. `product` has the stock before it."""
    change = {"delta": delta, "reason": reason, "key": key, "note": note}
    return change | {"product": product.name, "balance": product.quantity + delta, "price_cents": product.price_cents}
