"""Checks the column `products.folded`, which a search compares instead of the name."""

from collections.abc import Iterator

from db.sqlite.audit.discrepancy import Discrepancy
from db.sqlite.connection import fetch_all
from db.sqlite.snapshots import CATALOG, CHUNK, Snapshots
from domain.values import fold


def check(snapshots: Snapshots) -> Iterator[Discrepancy]:
    """Finds products whose folded name is not that of their name, so that a search misses them."""
    after = ""
    while True:
        with snapshots.snapshot(CATALOG) as connection:
            names = fetch_all(connection, _NAMES, {"after": after, "limit": CHUNK})
        for name, folded in names:
            if folded != fold(str(name)):
                yield Discrepancy("schema", name, f"is not found by a search, which compares {folded!r}")
        if len(names) < CHUNK:
            return
        after = names[-1][0]


_NAMES = "SELECT name, folded FROM catalog.products WHERE name > :after ORDER BY name LIMIT :limit"
