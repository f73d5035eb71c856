"""The two kinds of steps of the order log, one at a time."""

from collections.abc import Sequence

from db.order import OrderStore
from domain.protocols import Receipt, Sale
from domain.values import Buy


def begin(log: OrderStore, buys: Sequence[Buy]) -> list[Receipt | None]:
    """The receipt of each buy that is already in the log; for the others, None, and their intent is on disk."""
    return log.write([(buy, None) for buy in buys])


def finish(log: OrderStore, sales: Sequence[tuple[Buy, Sale]]) -> list[Receipt | None]:
    """Write down how each buy ended, and drop its intent. A buy that has not begun begins now: the log wants that."""
    return log.write([*((buy, None) for buy, _ in sales), *sales])[len(sales) :]
