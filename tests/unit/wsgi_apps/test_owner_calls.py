"""The owner's calls to catalog and order tier: who may make them, and what a malformed one is told."""

from collections.abc import Sequence
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from werkzeug.test import Client, EnvironBuilder

from db.sqlite.catalog import CatalogStore
from db.sqlite.owner_catalog import OwnerCatalogStore
from db.sqlite.owner_orders import OwnerOrderStore
from domain.errors import Unavailable
from domain.owner import Backup, LastAudit
from tests.support.owner_tiers import OWNER_TOKEN, app_of_owner_orders, owners_client
from wsgi_apps.base import App, Request
from wsgi_apps.bearer_auth import BearerAuthMiddleware, encode_authorization
from wsgi_apps.catalog import CatalogApp
from wsgi_apps.owner_catalog import OwnerCatalogCalls
from wsgi_apps.owner_clients import HttpOwnerOrders
from wsgi_apps.owner_orders import OwnerOrderCalls

OWNER = {"Authorization": encode_authorization(OWNER_TOKEN)}
GETS = ["stock?limit=1", "products/Tux", "products/Tux/ledger?limit=1", "products/Tux/history"]
ORDER_GETS = ["buys?limit=1", "takings", "books", "backups"]
CLEAN = LastAudit("2026-11-28T12:00:00.000Z", True, [], "2026-11-28T12:00:00.000Z")
BACKUP = Backup("2026-11-28T12-00-00.000Z-0", "2026-11-28T12:00:00.000Z", 123_456)


class Keeper:
    """A book keeper whose audit lasts until the test lets it end."""

    def __init__(self) -> None:
        self.go = Event()
        self.audits = 0
        self.keys: list[str] = []

    def audit(self) -> LastAudit:
        self.audits += 1
        self.go.wait(60)
        return CLEAN

    def backups(self) -> Sequence[Backup]:
        return []

    def back_up(self, key: str) -> Backup:
        self.keys.append(key)
        if key == "full":
            raise Unavailable("the disk is full; make room", retry_after_s=30)
        self.go.wait(60)
        return BACKUP


@pytest.fixture
def keeper() -> Keeper:
    return Keeper()


@pytest.fixture
def catalog_app(catalog: CatalogStore, owner_catalog: OwnerCatalogStore) -> App:
    return CatalogApp(catalog, owner_rules=OwnerCatalogCalls(owner_catalog).rules())


@pytest.fixture
def order_app(owner_orders: OwnerOrderStore, keeper: Keeper) -> App:
    return app_of_owner_orders(owner_orders, keeper)


def owners(app: App) -> Client:
    """Returns a client of the app behind the middleware that knows the owner."""
    return Client(BearerAuthMiddleware(app, None, [OWNER_TOKEN]))


def test_only_the_owner_may_make_these_calls(catalog_app: App, order_app: App) -> None:
    calls = [(catalog_app, "GET", path) for path in GETS] + [(order_app, "GET", path) for path in ORDER_GETS]
    calls += [
        (catalog_app, "POST", "products/Tux/restock"),
        (order_app, "POST", "audits"),
        (order_app, "POST", "backups"),
    ]
    for app, method, path in calls:
        assert owners(app).open(f"/v1/owner/{path}", method=method).status_code == 401, path
        assert Client(app).open(f"/v1/owner/{path}", method=method, headers=OWNER).status_code == 403, path
        if method == "GET":
            assert owners(app).get(f"/v1/owner/{path}", headers=OWNER).status_code == 200, path


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("stock", "limit is not a whole number from 1 to 1000"),
        ("stock?limit=1001", "limit is not a whole number from 1 to 1000"),
        ("stock?limit=1&after_quantity=x", "after_quantity is not a whole number"),
        ("stock?limit=1&after_quantity=9223372036854775808", "after_quantity is not a whole number"),
        (f"stock?limit=1&after_quantity={'9' * 5000}", "after_quantity is not a whole number"),
        ("stock?limit=1&q=a%00", "q has a control character"),
        ("stock?limit=1&after_quantity=1&after_name=%00", "after_name has a control character"),
        ("stock?limit=1&where=x", "unknown parameter 'where'"),
        ("products/Tux/ledger?limit=1&before=-1", "before is not a whole number"),
        ("products/Tux/ledger?limit=0", "limit is not a whole number from 1 to 1000"),
        ("products/a%7Fb", "control character"),
    ],
)
def test_a_malformed_question_to_the_catalog_names_the_problem(catalog_app: App, path: str, problem: str) -> None:
    response = owners(catalog_app).get(f"/v1/owner/{path}", headers=OWNER)
    assert response.status_code == 400
    assert problem in response.json["error"]["message"]  # type: ignore[index]


@pytest.mark.parametrize(
    ("change", "body", "problem"),
    [
        ("restock", {"quantity": 0}, "quantity is not a whole number from 1 to 1,000,000,000"),
        ("restock", {"quantity": 1_000_000_001}, "quantity is not a whole number from 1 to 1,000,000,000"),
        ("restock", {"quantity": True}, "quantity is not a whole number"),
        ("restock", {"quantity": "1"}, "quantity is not a whole number"),
        ("restock", {}, "the body is not an object with quantity"),
        ("restock", {"quantity": 1, "note": "x"}, "the body is not an object with quantity"),
        ("restock", [], "the body is not an object"),
        ("writeoff", {"quantity": 1, "note": " "}, "the note is empty"),
        ("writeoff", {"quantity": 1, "note": 1}, "the note is not a text"),
        ("correct", {"counted": -1, "note": "x"}, "counted is not a whole number from 0"),
        ("price", {"price_cents": 100_000_000_001}, "price_cents is not a whole number from 0 to 100,000,000,000"),
        ("retire", {"now": True}, "the body is not an object with nothing in it"),
        ("add", {"price_cents": 1, "quantity": -1}, "quantity is not a whole number from 0"),
    ],
)
def test_a_malformed_change_names_the_problem_and_changes_nothing(
    catalog_app: App, owner_catalog: OwnerCatalogStore, change: str, body: Any, problem: str
) -> None:
    before = [owner_catalog.ledger("Tux", limit=10), owner_catalog.history("Tux")]
    path, headers = f"/v1/owner/products/Tux/{change}", {**OWNER, "Idempotency-Key": "k"}
    response = owners(catalog_app).post(path, headers=headers, json=body)
    assert response.status_code == 400
    assert problem in response.json["error"]["message"]  # type: ignore[index]
    assert [owner_catalog.ledger("Tux", limit=10), owner_catalog.history("Tux")] == before


def test_a_change_needs_a_key_and_json_and_must_exist(catalog_app: App) -> None:
    client, keyed = owners(catalog_app), {**OWNER, "Idempotency-Key": "k"}
    restock = "/v1/owner/products/Tux/restock"
    assert "needs an Idempotency-Key" in client.post(restock, headers=OWNER, json={"quantity": 1}).text
    assert "the body is not JSON" in client.post(restock, headers=keyed, data=b"{").text
    twice = b'{"quantity": 1, "quantity": 2}'
    assert "a name stands twice in the body" in client.post(restock, headers=keyed, data=twice).text
    assert "the body is not JSON" in client.post(restock, headers=keyed, data=b"[" * 60_000).text
    assert client.post("/v1/owner/products/Tux/destroy", headers=keyed, json={}).status_code == 404
    assert client.get(restock, headers=keyed).status_code == 405


def test_a_name_that_people_cannot_see_is_not_added(catalog_app: App) -> None:
    response = owners(catalog_app).post(
        "/v1/owner/products/Tu%E2%80%8Bx/add",
        headers={**OWNER, "Idempotency-Key": "k"},
        json={"price_cents": 1, "quantity": 1},
    )
    assert response.status_code == 400
    assert "U+200B" in response.text


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("limit=1&number=x", "the number is not that of an order, or -1"),
        ("limit=1&number=-2", "the number is not that of an order, or -1"),
        ("limit=1&key=a,b", "the key is not 1 to 128 visible ASCII characters"),
        ("limit=1&since=yesterday", "'yesterday' is not a day such as 2026-11-28"),
        ("limit=1&until=2026-02-30", "'2026-02-30' is not a day such as 2026-11-28"),
        ("limit=1&before=7", "the cursor is not the 'next' of a page"),
        ("limit=1&before=7,%00,key", "the cursor is not the 'next' of a page"),
        ("limit=1&before=x,y,z", "the cursor is not the 'next' of a page"),
        ("limit=5000", "limit is not a whole number from 1 to 1000"),
    ],
)
def test_a_malformed_question_to_the_order_tier_names_the_problem(order_app: App, query: str, problem: str) -> None:
    response = owners(order_app).get(f"/v1/owner/buys?{query}", headers=OWNER)
    assert response.status_code == 400
    assert problem in response.json["error"]["message"]  # type: ignore[index]


def test_one_audit_at_a_time_answers_all_who_ask(owner_orders: OwnerOrderStore, keeper: Keeper) -> None:
    calls = OwnerOrderCalls(owner_orders, keeper)
    request = Request(EnvironBuilder().get_environ())
    asked = [calls.audit(request) for _ in range(3)]
    keeper.go.set()
    assert [deferred.wait().body["data"]["time"] for deferred in asked] == [CLEAN.time] * 3
    assert keeper.audits == 1


def test_a_double_click_while_a_backup_is_made_gets_that_one(owner_orders: OwnerOrderStore, keeper: Keeper) -> None:
    calls = OwnerOrderCalls(owner_orders, keeper)
    request = Request(EnvironBuilder(headers=[("Idempotency-Key", "k")]).get_environ())
    asked = [calls.back_up(request) for _ in range(2)]
    keeper.go.set()
    assert [deferred.wait().body["data"][0] for deferred in asked] == [BACKUP.name] * 2
    assert keeper.keys == ["k"]


def test_the_key_of_a_backup_comes_over_http(order_app: App, keeper: Keeper) -> None:
    keeper.go.set()
    with owners_client(order_app) as client:
        assert HttpOwnerOrders(client, client).back_up("a-key") == BACKUP
    assert keeper.keys == ["a-key"]


def test_the_owner_is_told_why_a_backup_cannot_be_made(order_app: App) -> None:
    with owners_client(order_app, name="order tier") as client:
        with pytest.raises(Unavailable, match="the disk is full; make room") as raised:
            HttpOwnerOrders(client, client).back_up("full")
        assert raised.value.retry_after_s == 30


def test_an_audit_and_the_backups_come_over_http(order_app: App, keeper: Keeper, tmp_path: Path) -> None:
    keeper.go.set()
    with owners_client(order_app) as client:
        assert HttpOwnerOrders(client, client).audit() == CLEAN
        assert HttpOwnerOrders(client, client).backups() == []
