"""The values by which a catalog and an order log recognize each other as the two halves of one store."""

from collections.abc import Callable
from dataclasses import dataclass

# How many of the newest sales, and of the newest orders, are compared. More buys than these are in doubt at once only
# while the catalog is down.
MAX_NEWEST = 256


@dataclass(frozen=True, slots=True)
class LogMark:
    """Names an order log in its calls for sales: the id of its store, and the key of its newest order."""

    store: str
    last_order: str | None


@dataclass(frozen=True, slots=True)
class Introduction:
    """The answer of a catalog to an order log that asks to which store it belongs.

    `id` is None in a file that is older than store ids. `newest_sold` has the keys of the last sales, newest first.
    `has_last_order` says whether the catalog has sold the newest order of that log.
    """

    id: str | None
    newest_sold: tuple[str, ...]
    has_last_order: bool


def mismatch(log_id: str | None, catalog: Introduction, is_ordered: Callable[[str], bool | None]) -> str | None:
    """Returns why a log with this store id does not match the catalog that introduced itself; None when it does.

    The introduction must be recent, and for the log's newest order. `is_ordered` tells of the key of a sale: True for
    an order, False for a buy in doubt, None for a key that the log does not know.
    """
    if log_id is not None and catalog.id is not None and log_id != catalog.id:
        return f"it is of store {log_id}, the catalog is of store {catalog.id}"
    if log_id is not None and catalog.id is None:
        return f"it is of store {log_id}, the catalog has no id, so it is an older one"
    if not catalog.has_last_order:
        return "the catalog has not sold what was ordered last, so it is an older one or another's"
    if lacks_a_sale(catalog, is_ordered):
        return "it lacks what the catalog has sold last, so it is an older one, a new one or another's"
    return None


def lacks_a_sale(catalog: Introduction, is_ordered: Callable[[str], bool | None]) -> bool:
    """Whether the catalog has a sale that is missing from the log; `is_ordered` is as for `mismatch`.

    Checks the newest sales up to one that is ordered. Sales in doubt are not enough: an older log may have them, and
    lack earlier sales.
    """
    for key in catalog.newest_sold:
        known = is_ordered(key)
        if known is not False:
            return known is None
    return False
