"""The store in the schemas `catalog` and `log` on PostgreSQL. Audits run on a copy in two files of SQLite."""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from admin.stores import AuditedBooks, Log, OnProgress
from admin.stores.files import audit_folder
from conf.stores import require_address
from conf.variables import SettingsError
from db.postgres.acceptance import accept, was_accepted
from db.postgres.catalog import CatalogStore
from db.postgres.copies.copy_in import copy_in
from db.postgres.copies.copy_out import copy_out, write_copy
from db.postgres.copies.moment import Addresses, errors_as_copy_failed, opened
from db.postgres.copies.schemas import require_current, require_one_store
from db.postgres.database import Database
from db.postgres.last_audit import record_audit
from db.postgres.order import OrderStore
from db.postgres.owner_catalog import OwnerCatalogStore
from db.postgres.owner_orders import OwnerOrderStore
from db.postgres.status import status
from db.product_changes import ProductChanges
from db.sqlite.audit import Audit, Discrepancy, checks_as_of
from db.sqlite.snapshots import CATALOG, LOG, File
from db.sqlite.status import Status
from domain.checkout import Checkout
from domain.owner import OrderBooks
from domain.protocols import Catalog
from domain.returns import Return, Returns
from domain.settlement import Settled, settle
from domain.values import Buy

VARIABLES = {CATALOG: "CATALOG_DATABASE", LOG: "ORDER_DATABASE"}


class PostgresStore:
    """The store in two schemas of PostgreSQL: see Store. Its methods raise CopyFailed where a schema cannot be read."""

    def __init__(self, catalog: str | None, log: str | None) -> None:
        """Takes the addresses of both databases. Raises StartRefused for one that is wrong, and does not show it."""
        self._given = {CATALOG: catalog, LOG: log}
        for file, address in self._given.items():
            if address is not None:
                require_address(address, VARIABLES[file])

    @property
    def addresses(self) -> Addresses:
        """The addresses of both databases. Raises SettingsError when one is not set."""
        return Addresses(self._address(CATALOG), self._address(LOG))

    def _address(self, file: File) -> str:
        address = self._given[file]
        if address is None:
            raise SettingsError(f"{VARIABLES[file]} is not set, and this command needs it")
        return address

    def status(self) -> Status:
        """Returns the counts and sizes of the store."""
        return status(self.addresses)

    def audit(self, on_progress: OnProgress) -> AuditedBooks:
        """Audits a copy of the books, which is removed at the end."""
        with tempfile.TemporaryDirectory(prefix="toystore-audit-") as folder:
            time_s = write_copy(self.addresses, Path(folder), on_progress)
            return audit_folder(Path(folder), checks_as_of(time_s), on_progress)

    def copy_out(self, folder: Path, on_progress: OnProgress, *, from_standby: bool) -> Audit:
        """Copies the books to a folder, see db/postgres/copies/copy_out.py."""
        return copy_out(self.addresses, folder, on_progress, from_standby=from_standby)

    def copy_in(self, folder: Path, on_progress: OnProgress) -> Audit:
        """Copies the books in a folder to the schemas, and creates these; see db/postgres/copies/copy_in.py."""
        return copy_in(folder, self.addresses, on_progress)

    def record(self, result: Audit) -> None:
        """Records an audit in the log's schema."""
        with self._database(LOG) as database:
            record_audit(database, result)

    def settle(self, repairs: Sequence[Buy | Return]) -> Iterable[Settled]:
        """Settles buys and returns. Raises Unreadable for schemas of two stores, and Unavailable."""
        with self.tiers() as (log, catalog):
            yield from settle(Checkout(log, catalog), Returns(log, catalog), repairs)

    def accept(self, found: Discrepancy, note: str, by: str, key: str) -> bool:
        """Accepts a discrepancy. Raises Invalid, KeyReused and Unavailable."""
        with self._database(CATALOG) as database:
            return accept(database, found, note, by, key)

    def was_accepted(self, fingerprint: str, note: str, key: str) -> bool:
        """Whether this discrepancy was accepted under the key. Raises KeyReused and Unavailable."""
        with self._database(CATALOG) as database:
            return was_accepted(database, fingerprint, note, key)

    @contextmanager
    def changes(self) -> Iterator[tuple[ProductChanges, Catalog]]:
        """Yields the catalog."""
        with self._database(CATALOG) as database:
            yield OwnerCatalogStore(database), CatalogStore(database)

    @contextmanager
    def tiers(self) -> Iterator[tuple[Log, Catalog]]:
        """Yields the order log and its catalog. Raises Unreadable for schemas of two stores."""
        addresses = self.addresses
        with self._database(CATALOG) as catalog, self._database(LOG) as log:
            with opened(addresses.catalog) as one, opened(addresses.log) as other, errors_as_copy_failed(addresses.log):
                require_one_store(one, other)
            yield OrderStore(log), CatalogStore(catalog)

    @contextmanager
    def order_books(self) -> Iterator[OrderBooks]:
        """Yields the order log for the owner's reports."""
        with self._database(LOG) as database:
            yield OwnerOrderStore(database)

    @contextmanager
    def _database(self, file: File) -> Iterator[Database]:
        """Yields the database of a schema that this code knows. Raises CopyFailed for another one."""
        address = self._address(file)
        with opened(address) as connection, errors_as_copy_failed(address):
            require_current(connection, file, address)
        with closing(Database(address, file.schema)) as database:
            yield database
