"""The fixture of the tests of the apps: clients of all three."""

import pytest

from db.sqlite.catalog import CatalogStore
from domain.checkout import Checkout
from tests.support.app_clients import AppClients


@pytest.fixture
def tiers(catalog: CatalogStore, checkout: Checkout) -> AppClients:
    """Clients of the three apps, with the documented products and no order."""
    return AppClients.of(catalog, checkout)
