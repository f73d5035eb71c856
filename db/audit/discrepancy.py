"""One thing that is not as it should be."""

import hashlib
from dataclasses import dataclass

from domain.values import Buy

_FINGERPRINT_CHARACTERS = 12  # 48 bits: no two of even a million discrepancies are likely to share one


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """`promise` is I1 to I6, or `schema` or `file`; `where` names the key, the product, the number or the table.

    `repair` is the buy that the store's own protocol can bring to its end, which repairs this by appending alone.
    `detail` is what tells it from another of the same words, such as the SQL that was found. `nth` counts those that
    are equal in all of that. `hides` says that there may be more, which could not be looked at.
    """

    promise: str
    where: str
    what: str
    repair: Buy | None = None
    detail: str = ""
    nth: int = 1
    hides: bool = False

    @property
    def fingerprint(self) -> str:
        """The name by which the owner accepts exactly this: it changes with any word, and with what was found."""
        text = "\0".join((self.promise, self.where, self.what, self.detail, str(self.nth)))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_FINGERPRINT_CHARACTERS]
