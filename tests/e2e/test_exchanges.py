from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import requests

from tests.books import Books, query
from tests.exchanges import EXCHANGES, Exchange
from tests.tiers import Tiers, running


@pytest.fixture(scope="module")
def tiers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tiers]:
    with running(tmp_path_factory.mktemp("e2e") / "data") as tiers:
        yield tiers


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda exchange: exchange.name)
def test_each_documented_exchange_is_answered_exactly(tiers: Tiers, exchange: Exchange) -> None:
    response = requests.request(exchange.method, tiers.url(exchange.tier) + exchange.path, timeout=10)
    exchange.check(response.status_code, response.headers["Content-Type"], response.text)


def test_each_tier_prints_its_address(tiers: Tiers) -> None:
    lines = tiers.log.read_text().splitlines()
    assert sorted(lines) == sorted(f"{name} serves {tiers.url(name)}" for name in tiers.ports)


def test_what_was_bought_is_in_the_order_log(tiers: Tiers, tmp_path: Path) -> None:
    key = {"Idempotency-Key": "a-key-of-mine"}
    bought = requests.post(tiers.url("front_end") + "/Tux/2", headers=key, timeout=10).json()
    refused = requests.post(tiers.url("front_end") + "/Tux/500", headers={"Idempotency-Key": "no"}, timeout=10)
    assert refused.status_code == 404
    log = query(tiers.data_dir / "order.db", "SELECT order_number, product, quantity, key FROM order_log")
    assert (int(bought["data"]["order_number"]), "Tux", 2, "a-key-of-mine") in log
    assert (-1, "Tux", 500, "no") in log
    Books.read(tiers.data_dir).check()


NOT_FOUND = b'{"error": {"code": 404, "message": "order not found"}}\n'


def test_the_front_end_shows_an_order_to_who_knows_its_key(tiers: Tiers) -> None:
    bought = requests.post(tiers.url("front_end") + "/Bird/3", timeout=10)
    number, key = bought.json()["data"]["order_number"], {"Idempotency-Key": bought.headers["Idempotency-Key"]}
    for name, headers in (("front_end", key), ("order", key), ("order", {})):
        order = requests.get(f"{tiers.url(name)}/orders/{number}", headers=headers, timeout=10).json()["data"]
        assert (order["order_number"], order["name"], order["quantity"], order["price"]) == (number, "Bird", 3, 39.99)
    unknown = requests.get(f"{tiers.url('order')}/orders/999999", timeout=10)
    for headers in ({}, {"Idempotency-Key": "another"}):
        hidden = requests.get(f"{tiers.url('front_end')}/orders/{number}", headers=headers, timeout=10)
        assert (hidden.status_code, hidden.content) == (unknown.status_code, unknown.content) == (404, NOT_FOUND)


def test_an_odd_name_travels_through_all_tiers(tiers: Tiers) -> None:
    for name in ("..", "%41", "a?b#c", "\u4f01\u9d5d &", "x" * 64):
        path = quote(name, safe="").replace(".", "%2E")
        for response in (
            requests.get(f"{tiers.url('front_end')}/products/{path}", timeout=10),
            requests.post(f"{tiers.url('front_end')}/{path}/1", timeout=10),
        ):
            assert (response.status_code, response.json()["error"]["message"]) == (404, "product not found")
