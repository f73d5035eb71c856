"""The words by which a catalog and an order log know each other for two halves of one store."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LogMark:
    """An order log says this of itself with each call: the id of its store, and the key of its newest order."""

    store: str
    last_order: str | None


@dataclass(frozen=True, slots=True)
class Introduction:
    """A catalog says this of itself to an order log.

    `id` is None in a file of before ids, `newest_sold` are the keys of the newest sales, newest first, and
    `has_last_order` says whether the catalog has sold the newest order of the log that asks.
    """

    id: str | None
    newest_sold: tuple[str, ...]
    has_last_order: bool
