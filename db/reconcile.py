"""Settles buys that stopped half way: sold but missing from the order log, or in doubt for too long.

Each is placed again under its own key, as the order tier's recovery would do: the catalog repeats its answer to the
key, or gives its first one, and the log appends the result once. A concurrent recovery, shopper or reconcile does no
harm. Rows are only appended; the intent of a settled buy is deleted, as always.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from db.catalog import CatalogStore
from db.order import OrderStore
from db.pairing import find_different_ids
from db.snapshots import CATALOG, FILES, LOG, Unreadable
from db.wal_check import integrity_problem
from domain.checkout import Checkout
from domain.errors import Unavailable
from domain.isolation import Failed, isolated
from domain.limits import MAX_BATCH
from domain.protocols import Placed
from domain.values import Buy


def reconcile(data_dir: Path, buys: Sequence[Buy]) -> Iterator[tuple[Buy, Placed]]:
    """Settles the buys. Yields for each the number of its order, its refusal, or Unavailable with the reason.

    Raises Unavailable when no buy can be settled now; those yielded before stay settled. Raises Unreadable, and changes
    nothing, when a database and the WAL beside it do not match, or the two files are of two stores.
    """
    if why := find_different_ids(data_dir):
        raise Unreadable(f"{why}: nothing is repaired between them")
    for file in FILES:
        if problem := integrity_problem(data_dir / file.name):
            raise Unreadable(f"{data_dir / file.name} and its write-ahead log do not match: {problem}")
    with closing(CatalogStore(data_dir / CATALOG.name)) as catalog, closing(OrderStore(data_dir / LOG.name)) as log:
        checkout = Checkout(log, catalog)
        for buy, placed in isolated(checkout.place_all, buys, MAX_BATCH):
            yield buy, Unavailable(str(placed.error)) if isinstance(placed, Failed) else placed
