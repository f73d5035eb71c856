"""Books with a bit of everything, and the audit in small looks."""

from pathlib import Path

import pytest

from db.audit import names, orders, refusals, stock
from db.catalog import CatalogStore
from db.order import OrderStore
from db.product_admin import ProductAdmin
from domain.checkout import Checkout
from domain.errors import Refused
from domain.values import Buy, Product


@pytest.fixture(autouse=True)
def small_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that few rows take many looks."""
    for module in (names, stock, orders, refusals):
        monkeypatch.setattr(module, "CHUNK", 3)


@pytest.fixture
def books(tmp_path: Path, checkout: Checkout, catalog: CatalogStore, orders: OrderStore) -> Path:
    """Ten orders of Tux (k0 to k9), two refused buys, a restock and a direct decrement, at rest."""
    for number in range(10):
        checkout.place(Buy(f"k{number}", "Tux", 2))
    for key, name in (("no0", "Tux"), ("no1", "Unicorn"), ("no2", "Bird"), ("no3", "Whale")):
        with pytest.raises(Refused):
            checkout.place(Buy(key, name, 1_000))
    catalog.decrement(Buy("direct", "Bird", 1))
    owner = ProductAdmin(tmp_path / "catalog.db")
    owner.restock("Bird", 5, "more")
    owner.add(Product("Cat", 100, 0), "cat")
    owner.price("Cat", 200, "dearer")
    owner.retire("Whale", "gone")
    owner.close()
    catalog.close()
    orders.close()
    return tmp_path
