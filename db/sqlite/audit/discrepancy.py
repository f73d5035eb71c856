"""A discrepancy: one broken promise that the audit found."""

import hashlib
from dataclasses import dataclass

from domain.returns import Return
from domain.values import Buy

_FINGERPRINT_CHARACTERS = 12  # 48 bits: two of a million discrepancies are unlikely to share one


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """One finding of the audit.

    `promise` is I1 to I6, `schema` or `file`. `where` names the key, the product, the number or the table. `repair` is
    the buy or the return that reconcile can settle, which repairs the discrepancy by appending alone. `detail`
    distinguishes discrepancies with the same words, for example by the SQL found. `nth` counts discrepancies with equal
    words and detail. `hides` means that the discrepancy prevents further checks, and may hide other ones.
    """

    promise: str
    where: str
    what: str
    repair: Buy | Return | None = None
    detail: str = ""
    nth: int = 1
    hides: bool = False

    @property
    def fingerprint(self) -> str:
        """Identifies exactly this discrepancy for its acceptance: any other word or `detail` gives another one."""
        text = "\0".join((self.promise, self.where, self.what, self.detail, str(self.nth)))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_FINGERPRINT_CHARACTERS]
