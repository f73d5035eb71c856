"""A throttled buy at each tier and between them: a 429 with a Retry-After of its own."""

import json

import pytest
from werkzeug.test import Client

from db.sqlite.catalog import CatalogStore
from db.sqlite.order import OrderStore
from domain.errors import StoreError, TooManyRefusals
from domain.limited_checkout import LimitedCheckout
from domain.refusal_limit import RefusalLimit
from tests.support.buying import BURST, PER_S, unknown
from tests.support.clock import Clock
from wsgi_apps.front_end import FrontEndApp
from wsgi_apps.order import OrderApp
from wsgi_apps.wire import decode_placed, decode_sale, encode_placed


@pytest.fixture
def exhausted(orders: OrderStore, catalog: CatalogStore) -> LimitedCheckout:
    """A checkout that has refused as many buys as it may."""
    limited = LimitedCheckout(orders, catalog, RefusalLimit(PER_S, Clock()))
    limited.place_all([unknown(number) for number in range(BURST)])
    return limited


@pytest.mark.parametrize("tier", ["front end", "order tier"])
def test_a_throttled_buy_is_429_with_a_retry_after(
    exhausted: LimitedCheckout, catalog: CatalogStore, tier: str
) -> None:
    client, prefix = (
        (Client(FrontEndApp(catalog, exhausted)), "")
        if tier == "front end"
        else (Client(OrderApp(exhausted)), "/products")
    )
    response = client.post(f"{prefix}/Unicorn/1", headers={"Idempotency-Key": "k"})
    assert (response.status_code, response.headers["Retry-After"]) == (429, str(round(1 / PER_S)))
    assert response.headers["Idempotency-Key"] == "k"
    assert response.json == {"error": {"code": 429, "message": TooManyRefusals.message}}
    assert client.post(f"{prefix}/Tux/1").json == {"data": {"order_number": "0"}}


def test_a_throttled_buy_survives_encoding_and_is_not_the_result_of_a_sale() -> None:
    row = encode_placed(TooManyRefusals())
    assert row == [429, TooManyRefusals.message, None]
    assert decode_placed(row) == TooManyRefusals()
    decoded = decode_placed(encode_placed(TooManyRefusals(retry_after_s=70)))
    assert isinstance(decoded, TooManyRefusals)
    assert decoded.retry_after_s == 70
    with pytest.raises(ValueError, match="not a definite answer"):
        decode_sale(row)
    assert issubclass(TooManyRefusals, StoreError)


def test_each_throttled_buy_of_a_call_has_a_retry_after_of_its_own(exhausted: LimitedCheckout) -> None:
    response = Client(OrderApp(exhausted)).post("/v1/buys", json=[[f"k{number}", "Nix", 1] for number in range(3)])
    data = json.loads(response.text)["data"]
    assert [retry_after_s for _status, _message, retry_after_s in data] == [100, 200, 300]
    placed = [decode_placed(value) for value in data]
    assert [one.retry_after_s for one in placed if isinstance(one, TooManyRefusals)] == [100, 200, 300]
