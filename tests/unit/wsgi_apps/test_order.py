"""The order tier: single buys, and batches of them from the front end."""

import pytest

from db.sqlite.catalog import CatalogStore
from tests.support.app_clients import AppClients, decode_error, send


def test_get_and_post_buy(tiers: AppClients) -> None:
    assert tiers.order.get("/products/Tux/1").json == {"data": {"order_number": "0"}}
    assert tiers.order.post("/products/Tux/1").json == {"data": {"order_number": "1"}}


def test_a_head_never_buys(tiers: AppClients, catalog: CatalogStore) -> None:
    response = tiers.order.head("/products/Tux/1")
    assert (response.status_code, response.headers["Allow"]) == (405, "GET, POST")
    assert catalog.product("Tux").quantity == 80


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("/products/Tux/0", "below 1"),
        ("/products//1", "empty"),
        ("/products/a%7Fb/1", "control character"),
        ("/products/%FF/1", "not UTF-8"),
    ],
)
def test_the_error_of_an_invalid_buy_names_the_problem(tiers: AppClients, path: str, problem: str) -> None:
    for response in (send(tiers.order, "GET", path), send(tiers.order, "POST", path)):
        assert response.status_code == 400
        assert problem in decode_error(response)


def test_each_buy_of_a_batch_has_its_own_result(tiers: AppClients) -> None:
    buys = [["a", "Tux", 1], ["b", "Nix", 1], ["c", "Tux", 1000], ["a", "Tux", 2], ["d", "Tux", 1]]
    assert tiers.order.post("/v1/buys", json=buys).json == {
        "data": [
            0,
            [404, "product not found", None],
            [404, "out of stock", None],
            [422, "this Idempotency-Key was used for another product or quantity", None],
            1,
        ]
    }
    assert tiers.order.post("/v1/buys", data=b"nonsense").status_code == 400
