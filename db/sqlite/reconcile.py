"""Settles the buys and returns that the audit found half way, in the two files of a store, see domain/settlement.py."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from db.sqlite.catalog import CatalogStore
from db.sqlite.order import OrderStore
from db.sqlite.pairing import find_different_ids
from db.sqlite.snapshots import CATALOG, FILES, LOG, Unreadable
from db.sqlite.wal_check import integrity_problem
from domain.checkout import Checkout
from domain.returns import Return, Returns
from domain.settlement import Settled, settle
from domain.values import Buy


def reconcile(data_dir: Path, repairs: Sequence[Buy | Return]) -> Iterator[Settled]:
    """Settles the buys, then the returns. Yields how each ended, or Unavailable with the reason.

    Raises Unavailable when none can be settled now; those yielded before stay settled. Raises Unreadable, and changes
    nothing, when a database and the WAL beside it do not match, or the two files are of two stores.
    """
    require_one_store(data_dir)
    with closing(CatalogStore(data_dir / CATALOG.name)) as catalog, closing(OrderStore(data_dir / LOG.name)) as log:
        yield from settle(Checkout(log, catalog), Returns(log, catalog), repairs)


def require_one_store(data_dir: Path) -> None:
    """Raises Unreadable when a database and the WAL beside it do not match, or the two files are of two stores."""
    if why := find_different_ids(data_dir):
        raise Unreadable(f"{why}: nothing is changed between them")
    for file in FILES:
        if problem := integrity_problem(data_dir / file.name):
            raise Unreadable(f"{data_dir / file.name} and its write-ahead log do not match: {problem}")
