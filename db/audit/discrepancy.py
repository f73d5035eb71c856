"""One thing that is not as it should be."""

from dataclasses import dataclass

from domain.values import Buy


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """`promise` is I1 to I6, or `schema` or `file`; `where` names the key, the product, the number or the table.

    `repair` is the buy that the store's own protocol can bring to its end, which repairs this by appending alone.
    """

    promise: str
    where: str
    what: str
    repair: Buy | None = None
