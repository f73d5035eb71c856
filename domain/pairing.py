"""The words by which a catalog and an order log know each other for two halves of one store."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LogMark:
    """An order log says this of itself with each call: the id of its store, and the key of one of its newest orders."""

    store: str
    last_order: str | None


@dataclass(frozen=True, slots=True)
class Introduction:
    """A catalog says this of itself to an order log.

    `id` is None in a file of before ids, `last_sold` is the key of the newest sale that an order log must have, and
    `has_last_order` says whether the catalog has sold the newest order of the log that asks.
    """

    id: str | None
    last_sold: str | None
    has_last_order: bool
