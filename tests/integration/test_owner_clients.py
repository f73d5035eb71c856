"""The owner's clients beside tiers that answer wrongly, late, or not at all."""

import json
from collections.abc import Callable

import pytest
from werkzeug.wrappers import Request, Response

from db.sqlite.catalog import CatalogStore
from db.sqlite.owner_catalog import OwnerCatalogStore
from domain.errors import Invalid, KeyReused, ProductNotFound, Unavailable
from domain.owner import Selection
from tests.support.owner_tiers import OWNER_TOKEN
from tests.support.stub_server import answer_from, answer_with, tier
from wsgi_apps.bearer_auth import BearerAuthMiddleware, encode_authorization
from wsgi_apps.catalog import CatalogApp
from wsgi_apps.owner_catalog import OwnerCatalogCalls
from wsgi_apps.owner_clients import HttpOwnerCatalog, HttpOwnerOrders
from wsgi_apps.tier_client import TierClient
from wsgi_apps.tier_connection import MAX_BODY_BYTES

Ask = Callable[[TierClient], object]
QUESTIONS: list[Ask] = [
    lambda client: HttpOwnerCatalog(client).stock(limit=1),
    lambda client: HttpOwnerCatalog(client).stocked_product("Tux"),
    lambda client: HttpOwnerCatalog(client).ledger("Tux", limit=1),
    lambda client: HttpOwnerCatalog(client).history("Tux"),
    lambda client: HttpOwnerCatalog(client).restock("Tux", 1, "k"),
    lambda client: HttpOwnerOrders(client, client).logged_buys(Selection(), limit=1),
    lambda client: HttpOwnerOrders(client, client).takings(Selection()),
    lambda client: HttpOwnerOrders(client, client).books(),
    lambda client: HttpOwnerOrders(client, client).audit(),
    lambda client: HttpOwnerOrders(client, client).backups(),
    lambda client: HttpOwnerOrders(client, client).back_up("k"),
]


@pytest.mark.parametrize("ask", QUESTIONS)
@pytest.mark.parametrize("body", [{}, {"data": 1}, {"data": [[1]]}, {"data": {"x": 1}}, [], "text", None])
def test_an_answer_outside_of_the_contract_is_unavailable(ask: Ask, body: object) -> None:
    with tier(answer_with(200, body), for_owner=True) as client, pytest.raises(Unavailable):
        ask(client)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, Invalid), (404, ProductNotFound), (422, KeyReused), (418, Unavailable), (302, Unavailable)],
)
def test_the_owner_is_told_the_error_in_the_tiers_words(status: int, kind: type[Exception]) -> None:
    body = {"error": {"code": status, "message": "so and so"}}
    with tier(answer_with(status, body), for_owner=True) as client:
        with pytest.raises(kind) as raised:
            HttpOwnerCatalog(client).restock("Tux", 1, "k")
        if kind is not Unavailable:
            assert str(raised.value) == "so and so"


def test_a_change_whose_answer_was_lost_is_asked_again_and_made_once(
    catalog: CatalogStore, owner_catalog: OwnerCatalogStore
) -> None:
    app = CatalogApp(catalog, owner_rules=OwnerCatalogCalls(owner_catalog).rules())
    answer = answer_from(BearerAuthMiddleware(app, None, [OWNER_TOKEN]))
    asked: list[str] = []

    def lose_the_first(request: Request) -> Response:
        asked.append(request.headers["Idempotency-Key"])
        response = answer(request)
        return response if len(asked) > 1 else Response("a proxy's page", 502)

    with tier(lose_the_first, authorization=encode_authorization(OWNER_TOKEN), for_owner=True) as client:
        assert HttpOwnerCatalog(client).restock("Tux", 5, "more") is False
    assert asked == ["more", "more"]
    assert owner_catalog.stocked_product("Tux").quantity == 85


def test_an_audit_is_asked_for_once() -> None:
    asked = []

    def answer(_request: Request) -> Response:
        asked.append(1)
        return Response(
            json.dumps({"error": {"code": 503, "message": "no room"}}), 503, content_type="application/json"
        )

    with tier(answer, for_owner=True) as client:
        orders = HttpOwnerOrders(client, client)
        for work in (orders.audit, lambda: orders.back_up("k")):
            with pytest.raises(Unavailable, match="no room"):
                work()
    assert len(asked) == 2


def test_the_owner_may_get_a_longer_answer_than_a_tier() -> None:
    rows = [["2026-11-28", "x" * 100, 1, 1, 0, 0]] * (MAX_BODY_BYTES // 100)
    with tier(answer_with(200, {"data": rows}), for_owner=True) as client:
        assert len(HttpOwnerOrders(client, client).takings(Selection())) == len(rows)
    with tier(answer_with(200, {"data": rows})) as client, pytest.raises(Unavailable):
        HttpOwnerOrders(client, client).takings(Selection())
