"""The store of the owner's catalog keeps its contract, beside a store that sells."""

import pytest

from db.sqlite.owner_catalog import OwnerCatalogStore
from tests.contracts.owner_catalog import OwnerCatalogContract


class TestOwnerCatalogStore(OwnerCatalogContract):
    """The catalog's file."""

    @pytest.fixture
    def subject(self, owner_catalog: OwnerCatalogStore) -> OwnerCatalogStore:
        return owner_catalog
