"""The catalog on PostgreSQL for the owner: the stock, the books of a product, and the owner's changes."""

from collections.abc import Callable, Mapping
from typing import Any

from db.owner_catalog import OwnerCatalogReads
from db.postgres.catalog import LOCK_ADDING, lock_products
from db.postgres.database import Database
from db.postgres.locks import lock_keys
from db.postgres.session import Session
from db.product_changes import ProductChanges
from db.statements import FetchAll

_STOCK = """
    SELECT name, price_cents, quantity, retired FROM products
    WHERE (:retired OR NOT retired) AND strpos(folded, :q) > 0 AND (quantity, name) > (:quantity, :name)
    ORDER BY quantity, name LIMIT :limit"""


class OwnerCatalogStore(ProductChanges, OwnerCatalogReads):
    """The catalog in the schema `catalog` of a database, for the owner: see domain.owner.OwnerCatalog."""

    stock_sql = _STOCK

    def __init__(self, database: Database) -> None:
        """Uses the connections of `database`, whose schema must be that of the catalog."""
        self._database = database

    def _transact(
        self, work: Callable[[FetchAll], bool], *, product: str, key: str, adds_products: bool = False
    ) -> bool:
        """Runs `work` with the key and the product locked, as a sale locks them."""

        def locked(session: Session) -> bool:
            adding = [LOCK_ADDING] if adds_products else []
            session.fetch_together(*adding, lock_keys([key]), lock_products([product]))
            return work(session.fetch_all)

        return self._database.run(locked)

    def _fetch_all(self, sql: str, values: Mapping[str, Any]) -> list[Any]:
        with self._database.read() as session:
            return session.fetch_all(sql, values)

    def close(self) -> None:
        """Closes the connections that nobody uses."""
        self._database.close()
