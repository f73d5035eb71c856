"""The values by which a catalog and an order log recognize each other as the two halves of one store."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LogMark:
    """An order log sends this with each call to its catalog: the id of its store, and the key of its newest order."""

    store: str
    last_order: str | None


@dataclass(frozen=True, slots=True)
class Introduction:
    """A catalog answers this to an order log that asks which store it is of.

    `id` is None in a file that is older than store ids. `newest_sold` are the keys of the newest sales, newest first.
    `has_last_order` says whether the catalog has sold the newest order of the log that asks.
    """

    id: str | None
    newest_sold: tuple[str, ...]
    has_last_order: bool
