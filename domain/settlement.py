"""Settles buys and returns that stopped half way: missing from the order log, or in doubt for too long.

Each is sent again under its own key, as the order tier's recovery would do: the catalog repeats its answer to the
key, or gives its first one, and the log appends the result once. A concurrent recovery, shopper or settlement does no
harm. Rows are only appended; the intent of what is settled is deleted, as always.
"""

from collections.abc import Iterator, Sequence

from domain.checkout import Checkout
from domain.errors import Unavailable
from domain.isolation import Failed, isolated
from domain.limits import MAX_BATCH, MAX_RETURNS
from domain.protocols import Placed
from domain.returns import Return, ReturnOutcome, Returns
from domain.values import Buy

Settled = tuple[Buy | Return, Placed | ReturnOutcome]


def settle(checkout: Checkout, returns: Returns, repairs: Sequence[Buy | Return]) -> Iterator[Settled]:
    """Settles the buys, then the returns. Yields how each ended, or Unavailable with the reason.

    Raises Unavailable when none can be settled now; those yielded before stay settled.
    """
    buys = [one for one in repairs if isinstance(one, Buy)]
    returned = [one for one in repairs if isinstance(one, Return)]
    for buy, placed in isolated(checkout.place_all, buys, MAX_BATCH):
        yield buy, Unavailable(str(placed.error)) if isinstance(placed, Failed) else placed
    for asked, outcome in isolated(returns.give_back_all, returned, MAX_RETURNS):
        yield asked, Unavailable(str(outcome.error)) if isinstance(outcome, Failed) else outcome
