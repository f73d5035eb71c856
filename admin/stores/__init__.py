"""Where the owner's program finds the store: in two files of SQLite, or in two schemas of PostgreSQL."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from db.product_changes import ProductChanges
from db.sqlite.audit import Audit, Discrepancy
from db.sqlite.status import Status
from domain.owner import OrderBooks
from domain.protocols import Catalog, OrderLog
from domain.returns import Return, ReturnLog
from domain.settlement import Settled
from domain.values import Buy

# Called with the name of each step before it begins.
OnProgress = Callable[[str], None]


class Log(OrderLog, ReturnLog, Protocol):
    """The order log, with its returns."""


@dataclass(frozen=True, slots=True)
class AuditedBooks:
    """An audit, and the status of the store at the same time: None when a discrepancy makes it unreadable."""

    audit: Audit
    status: Status | None


class Store(Protocol):
    """The state of both tiers. All methods raise Unreadable, CopyFailed or Unavailable when it cannot be reached."""

    def status(self) -> Status:
        """Returns the counts and sizes of the store."""

    def audit(self, on_progress: OnProgress) -> AuditedBooks:
        """Audits the books beside the running store."""

    def record(self, result: Audit) -> None:
        """Records an audit for the owner's desk."""

    def settle(self, repairs: Sequence[Buy | Return]) -> Iterable[Settled]:
        """Settles buys and returns, see domain/settlement.py."""

    def accept(self, found: Discrepancy, note: str, by: str, key: str) -> bool:
        """Accepts a discrepancy, see accept in db/sqlite/audit/acceptance.py."""

    def was_accepted(self, fingerprint: str, note: str, key: str) -> bool:
        """Whether this discrepancy was accepted under the key."""

    def changes(self) -> AbstractContextManager[tuple[ProductChanges, Catalog]]:
        """Yields the catalog to be changed, and to be read."""

    def tiers(self) -> AbstractContextManager[tuple[Log, Catalog]]:
        """Yields the order log and its catalog."""

    def order_books(self) -> AbstractContextManager[OrderBooks]:
        """Yields the order log for the owner's reports."""
