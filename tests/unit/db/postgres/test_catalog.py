"""The catalog store on PostgreSQL: the contracts of a catalog, and the rules of its schema."""

from tests.contracts.catalog import CatalogContract
from tests.contracts.owner_catalog import OwnerCatalogContract
from tests.contracts.product_changes import ProductChangesContract
from tests.contracts.returns import ReturnCatalogContract


class TestCatalogStore(CatalogContract, ReturnCatalogContract):
    """A catalog store fulfils the contract of a catalog."""


class TestOwnerCatalogStore(OwnerCatalogContract, ProductChangesContract):
    """The owner's store fulfils the contract of the owner's catalog."""
