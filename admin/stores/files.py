"""The store in catalog.db and order.db, in the folder DATA_DIR."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import apsw

from admin.stores import AuditedBooks, Log, OnProgress
from db.product_changes import ProductChanges
from db.sqlite.audit import ALL_CHECKS, Audit, Check, Discrepancy, audit
from db.sqlite.audit.acceptance import accept, was_accepted
from db.sqlite.catalog import CatalogStore
from db.sqlite.last_audit import record_audit
from db.sqlite.order import OrderStore
from db.sqlite.owner_orders import OwnerOrderStore
from db.sqlite.product_admin import ProductAdmin
from db.sqlite.reconcile import reconcile, require_one_store
from db.sqlite.snapshots import CATALOG, FILES, LOG, Snapshots, require_readable
from db.sqlite.status import Status, status
from domain.owner import OrderBooks
from domain.protocols import Catalog
from domain.returns import Return
from domain.settlement import Settled
from domain.values import Buy


class FileStore:
    """The store in two files of SQLite: see Store."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._catalog, self._log = (data_dir / file.name for file in FILES)

    def status(self) -> Status:
        """Returns the counts and sizes of the store. Raises Unreadable."""
        with Snapshots(self._data_dir) as snapshots:
            return status(snapshots)

    def audit(self, on_progress: OnProgress) -> AuditedBooks:
        """Audits the books beside the running store. Raises Unreadable."""
        return audit_folder(self._data_dir, ALL_CHECKS, on_progress)

    def record(self, result: Audit) -> None:
        """Records an audit beside the order log."""
        record_audit(self._data_dir, result)

    def settle(self, repairs: Sequence[Buy | Return]) -> Iterable[Settled]:
        """Settles buys and returns. Raises Unreadable and Unavailable."""
        return reconcile(self._data_dir, repairs)

    def accept(self, found: Discrepancy, note: str, by: str, key: str) -> bool:
        """Accepts a discrepancy. Raises Invalid, KeyReused and Unavailable."""
        return accept(self._catalog, found, note, by, key)

    def was_accepted(self, fingerprint: str, note: str, key: str) -> bool:
        """Whether this discrepancy was accepted under the key. Raises KeyReused and Unavailable."""
        return was_accepted(self._catalog, fingerprint, note, key)

    @contextmanager
    def changes(self) -> Iterator[tuple[ProductChanges, Catalog]]:
        """Yields the catalog. Raises Unreadable where there is none."""
        require_readable(self._data_dir, CATALOG)
        with closing(ProductAdmin(self._catalog)) as products, closing(CatalogStore(self._catalog)) as catalog:
            yield products, catalog

    @contextmanager
    def tiers(self) -> Iterator[tuple[Log, Catalog]]:
        """Yields the order log and its catalog. Raises Unreadable where one is missing, or they are of two stores."""
        for file in FILES:
            require_readable(self._data_dir, file)
        require_one_store(self._data_dir)
        with closing(CatalogStore(self._catalog)) as catalog, closing(OrderStore(self._log)) as log:
            yield log, catalog

    @contextmanager
    def order_books(self) -> Iterator[OrderBooks]:
        """Yields the order log for the owner's reports. Raises Unreadable when there is none."""
        require_readable(self._data_dir, LOG)
        with closing(OwnerOrderStore(self._log)) as books:
            yield books


def audit_folder(folder: Path, checks: Sequence[Check], on_progress: OnProgress) -> AuditedBooks:
    """Audits both files in the folder. Raises Unreadable."""
    with Snapshots(folder) as snapshots:
        return AuditedBooks(audit(snapshots, checks, on_progress), status_if_any(snapshots))


def status_if_any(snapshots: Snapshots) -> Status | None:
    """Returns the status of the store; None when a discrepancy, such as a missing table, makes it unreadable."""
    try:
        return status(snapshots)
    except (apsw.SQLError, apsw.CorruptError):
        return None
