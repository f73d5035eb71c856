"""Repairs what can be repaired by appending: buys that stopped half way are brought to their end by the buy's protocol.

Such a buy is sold and missing from the log, or it is in doubt for too long. It is placed again under its own key, as
the order tier's recovery would: the catalog repeats the answer that it has under the key, or gives its first one, and
the log takes it down once. So it does not matter who else does the same at the same time, and nothing that stands in
the books is ever changed or taken out; only the intent of a buy that has ended goes, as always.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from db.catalog import CatalogStore
from db.order import OrderStore
from db.pairing import other_store
from db.snapshots import CATALOG, FILES, LOG, Unreadable
from db.wal_check import misfit
from domain.checkout import Checkout
from domain.errors import Unavailable
from domain.isolation import Failed, isolated
from domain.limits import MAX_BATCH
from domain.protocols import Placed
from domain.values import Buy


def reconcile(data_dir: Path, buys: Sequence[Buy]) -> Iterator[tuple[Buy, Placed]]:
    """Bring the buys to their end; for each the number of its order, a no, or Unavailable, which says why it has none.

    Raises Unavailable when none can be brought there now; what was before stays so. Raises Unreadable, and changes
    nothing, where a database and the log beside it do not hold together, or the two files are of two stores.
    """
    if why := other_store(data_dir):
        raise Unreadable(f"{why}: nothing is repaired between them")
    for file in FILES:
        if problem := misfit(data_dir / file.name):
            raise Unreadable(f"{data_dir / file.name} and its log do not fit together: {problem}")
    with closing(CatalogStore(data_dir / CATALOG.name)) as catalog, closing(OrderStore(data_dir / LOG.name)) as log:
        checkout = Checkout(log, catalog)
        for buy, placed in isolated(checkout.place_all, buys, MAX_BATCH):
            yield buy, Unavailable(str(placed.error)) if isinstance(placed, Failed) else placed
