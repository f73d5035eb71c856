"""The owner's calls to running tiers: the log of a buy, an audit and a backup by processes of their own."""

import json
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from db.sqlite.last_audit import read_last_audit
from domain.owner import Selection
from tests.support.forgery import forge
from tests.support.tiers import Tiers, running
from wsgi_apps.bearer_auth import encode_authorization
from wsgi_apps.owner_clients import HttpOwnerCatalog, HttpOwnerOrders
from wsgi_apps.tier_client import TierClient

OWNER = "owner---" * 4


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Tiers]:
    """A running store that knows the owner, with one order."""
    with running(tmp_path / "data", OWNER_SECRET=OWNER, BACKUP_DIR=str(tmp_path / "backups")) as tiers:
        buy(tiers, "k")
        yield tiers


def buy(tiers: Tiers, key: str) -> None:
    request = urllib.request.Request(f"{tiers.url('front_end')}/Tux/2", method="POST", headers={"Idempotency-Key": key})
    with urllib.request.urlopen(request, timeout=60) as response:
        assert "order_number" in json.load(response)["data"]


def client(tiers: Tiers, name: str) -> TierClient:
    authorization = encode_authorization(OWNER)
    options: dict[str, Any] = {"deadline_s": 120.0, "authorization": authorization, "for_owner": True}
    return TierClient(name, [("127.0.0.1", tiers.ports[name])], **options)


def test_the_owner_reads_audits_and_backs_up_a_running_store(store: Tiers, tmp_path: Path) -> None:
    with closing(client(store, "catalog")) as to_catalog, closing(client(store, "order")) as to_orders:
        catalog, orders = HttpOwnerCatalog(to_catalog), HttpOwnerOrders(to_orders, to_orders)
        assert catalog.restock("Tux", 5, "more") is True
        assert catalog.stocked_product("Tux").quantity == 83
        [order] = orders.logged_buys(Selection(), limit=10).buys
        assert (order.key, order.quantity) == ("k", 2)
        assert orders.books().audit is None
        audit = orders.audit()
        assert audit.is_clean
        assert orders.books().audit == audit == read_last_audit(store.data_dir)
        backup = orders.back_up("k")
        assert orders.back_up("k") == backup
        assert [backup] == orders.backups()
        assert (tmp_path / "backups" / backup.name / "order.db").is_file()
        forge(store.data_dir / "order.db", "UPDATE orders SET quantity = 3 WHERE key = 'k'")
        wrong = orders.audit()
        assert (wrong.is_clean, wrong.last_clean) == (False, audit.time)
        assert any("quantity 3 ordered, 2 sold" in line for line in wrong.discrepancies)
