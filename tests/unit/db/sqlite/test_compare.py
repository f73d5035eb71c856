"""A refused restore says whether the existing store has more than the backup."""

from pathlib import Path

import pytest

from db.sqlite.backup import restore
from db.sqlite.catalog import CatalogStore
from db.sqlite.order import OrderStore
from db.sqlite.product_admin import ProductAdmin
from db.sqlite.staging import InTheWay
from domain.checkout import Checkout
from domain.errors import ProductNotFound
from domain.returns import Return, Returns
from domain.values import Buy
from tests.support.backups import make_backup, no_progress
from tests.support.forgery import forge


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("nothing", "holds a store, all of which is in the backup"),
        ("a new order", "the backup ends before its order 3: what is newer would be lost"),
        ("a restock", "the backup ends before its ledger entry 5: what is newer would be lost"),
        ("a new price", "the backup ends before its product history entry 2: what is newer would be lost"),
        ("a refused buy", "the backup lacks 1 of its refused buys: what is newer would be lost"),
        ("a return", "the backup ends before its return 1: what is newer would be lost"),
        ("another history", "and its order 1 differs from the backup's"),
        ("another stock", "and its ledger entry 2 differs from the backup's"),
        ("no store", "/catalog.db is there already"),
    ],
)
def test_a_restore_over_a_store_is_refused_and_compares_it_with_the_backup(
    shop: Checkout, data: Path, tmp_path: Path, change: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("db.sqlite.compare.CHUNK", 2)
    make_backup(data, tmp_path / "b")
    if change == "a new order":
        shop.place(Buy("new", "Tux", 1))
    elif change == "a restock":
        ProductAdmin(data / "catalog.db").restock("Tux", 1, "more")
    elif change == "a new price":
        ProductAdmin(data / "catalog.db").price("Tux", 1, "cheaper")
    elif change == "a refused buy":
        with pytest.raises(ProductNotFound):
            shop.place(Buy("refused now", "Unicorn", 1))
    elif change == "a return":
        Returns(OrderStore(data / "order.db"), CatalogStore(data / "catalog.db")).give_back(Return("r", 0))
    elif change == "another history":
        forge(data / "order.db", "UPDATE orders SET quantity = 7 WHERE number = 1")
    elif change == "another stock":
        forge(data / "catalog.db", "UPDATE stock_ledger SET delta = -7 WHERE entry = 2")
    elif change == "no store":
        (data / "order.db").write_text("my diary")
    before = {path.name: path.read_bytes() for path in data.glob("*.db")}
    with pytest.raises(InTheWay, match=f"data.*{why}; move it away yourself"):
        restore(tmp_path / "b", data, no_progress)
    assert {path.name: path.read_bytes() for path in data.glob("*.db")} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "data"]
