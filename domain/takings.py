"""Adds takings up: by product, by day, by month, or all of them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from domain.owner import Takings


@dataclass(frozen=True, slots=True)
class TakingsSum:
    """Sums of sold and returned goods, in pieces and in cents."""

    sold: int = 0
    sold_cents: int = 0
    returned: int = 0
    returned_cents: int = 0

    @property
    def net(self) -> int:
        """The pieces that were sold and not given back."""
        return self.sold - self.returned

    @property
    def net_cents(self) -> int:
        """The revenue without what was given back."""
        return self.sold_cents - self.returned_cents

    def __add__(self, other: Takings) -> "TakingsSum":
        return TakingsSum(
            self.sold + other.sold,
            self.sold_cents + other.sold_cents,
            self.returned + other.returned,
            self.returned_cents + other.returned_cents,
        )


def sum_takings(takings: Iterable[Takings]) -> TakingsSum:
    """Returns the sum of all takings."""
    total = TakingsSum()
    for one in takings:
        total += one
    return total


def sums_by(takings: Iterable[Takings], name_of: Callable[[Takings], str]) -> dict[str, TakingsSum]:
    """Returns the sum of the takings of each name, in the order in which the names come first."""
    sums: dict[str, TakingsSum] = {}
    for one in takings:
        name = name_of(one)
        sums[name] = sums.get(name, TakingsSum()) + one
    return sums


def sorted_by_revenue(sums: Mapping[str, TakingsSum]) -> list[tuple[str, TakingsSum]]:
    """Returns names and sums, those that earned the most first, then by name."""
    return sorted(sums.items(), key=lambda named: (-named[1].net_cents, named[0]))
