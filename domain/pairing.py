"""The values by which a catalog and an order log recognize each other as the two halves of one store."""

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
