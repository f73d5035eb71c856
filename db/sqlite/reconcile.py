"""Settles buys and returns that stopped half way: missing from the order log, or in doubt for too long.

Each is sent again under its own key, as the order tier's recovery would do: the catalog repeats its answer to the
key, or gives its first one, and the log appends the result once. A concurrent recovery, shopper or reconcile does no
harm. Rows are only appended; the intent of what is settled is deleted, as always.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from db.sqlite.catalog import CatalogStore
from db.sqlite.order import OrderStore
from db.sqlite.pairing import find_different_ids
from db.sqlite.snapshots import CATALOG, FILES, LOG, Unreadable
from db.sqlite.wal_check import integrity_problem
from domain.checkout import Checkout
from domain.errors import Unavailable
from domain.isolation import Failed, isolated
from domain.limits import MAX_BATCH, MAX_RETURNS
from domain.protocols import Placed
from domain.returns import Return, ReturnOutcome, Returns
from domain.values import Buy


def reconcile(data_dir: Path, repairs: Sequence[Buy | Return]) -> Iterator[tuple[Buy | Return, Placed | ReturnOutcome]]:
    """Settles the buys, then the returns. Yields how each ended, or Unavailable with the reason.

    Raises Unavailable when none can be settled now; those yielded before stay settled. Raises Unreadable, and changes
    nothing, when a database and the WAL beside it do not match, or the two files are of two stores.
    """
    buys = [one for one in repairs if isinstance(one, Buy)]
    returned = [one for one in repairs if isinstance(one, Return)]
    require_one_store(data_dir)
    with closing(CatalogStore(data_dir / CATALOG.name)) as catalog, closing(OrderStore(data_dir / LOG.name)) as log:
        for buy, placed in isolated(Checkout(log, catalog).place_all, buys, MAX_BATCH):
            yield buy, Unavailable(str(placed.error)) if isinstance(placed, Failed) else placed
        for asked, outcome in isolated(Returns(log, catalog).give_back_all, returned, MAX_RETURNS):
            yield asked, Unavailable(str(outcome.error)) if isinstance(outcome, Failed) else outcome


def require_one_store(data_dir: Path) -> None:
    """Raises Unreadable when a database and the WAL beside it do not match, or the two files are of two stores."""
    if why := find_different_ids(data_dir):
        raise Unreadable(f"{why}: nothing is changed between them")
    for file in FILES:
        if problem := integrity_problem(data_dir / file.name):
            raise Unreadable(f"{data_dir / file.name} and its write-ahead log do not match: {problem}")
