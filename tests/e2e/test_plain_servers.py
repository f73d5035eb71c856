"""The tiers are plain WSGI apps: waitress and wsgiref serve them too, more slowly."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial

import pytest
import requests

from conf.addresses import Address
from conf.health import is_healthy
from tests.exchanges import EXCHANGES, Exchange
from tests.support.books import Books, assert_audit_is_clean
from tests.support.plain_server import SERVERS
from tests.support.tiers import NAMES, ROOT, Tiers
from tests.support.waiting import wait_until


@pytest.fixture(scope="module", params=list(SERVERS))
def tiers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tiers]:
    """A whole store under one of these servers. Its books and log are checked after the last test."""
    tiers = Tiers(tmp_path_factory.mktemp(request.param) / "data")
    with tiers.log.open("wb") as log:
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", "tests.support.plain_server", request.param, name],
                cwd=ROOT,
                env=tiers.environment,
                stdout=log,
                stderr=log,
            )
            for name in NAMES
        ]
    try:
        for port in tiers.ports.values():
            address = Address("127.0.0.1", port)
            wait_until("the tier answers", partial(is_healthy, address), details=tiers.log.read_text)
        yield tiers
        Books.at_rest(tiers.data_dir).check()
        assert_audit_is_clean(tiers.data_dir)
        assert "Traceback" not in tiers.log.read_text(), tiers.log.read_text()
    finally:
        for process in processes:
            process.send_signal(signal.SIGKILL)
            process.wait()


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda exchange: exchange.name)
def test_each_documented_exchange_is_answered_exactly(tiers: Tiers, exchange: Exchange) -> None:
    response = requests.request(exchange.method, tiers.url(exchange.tier) + exchange.path, timeout=10)
    exchange.check(response.status_code, response.headers["Content-Type"], response.text)


def test_buys_and_refusals_are_logged_and_a_key_is_sold_once(tiers: Tiers) -> None:
    shop, key = tiers.url("front_end"), {"Idempotency-Key": "mine"}
    numbers = {requests.post(f"{shop}/Tux/2", headers=key, timeout=10).json()["data"]["order_number"] for _ in range(2)}
    [number] = numbers
    order = requests.get(f"{shop}/orders/{number}", headers=key, timeout=10).json()["data"]
    assert (order["name"], order["quantity"]) == ("Tux", 2)
    refused = requests.post(f"{shop}/Tux/500", headers={"Idempotency-Key": "no"}, timeout=10)
    assert refused.status_code == 404
    assert Books.at_rest(tiers.data_dir).refused["no"]


@pytest.mark.parametrize("name", NAMES)
def test_head_has_the_content_length_of_get(tiers: Tiers, name: str) -> None:
    got, head = (requests.request(method, tiers.url(name) + "/health", timeout=10) for method in ("GET", "HEAD"))
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Length"] == got.headers["Content-Length"] == str(len(got.content))


@pytest.mark.parametrize(("body", "status"), [(b'{"quantity": 2}', 400), (b"x" * 70_000, 413), (b"", 200)])
def test_a_buy_succeeds_only_without_a_body(tiers: Tiers, body: bytes, status: int) -> None:
    before = Books.at_rest(tiers.data_dir).products["Whale"]
    reply = requests.post(tiers.url("front_end") + "/Whale/1", data=body, timeout=10)
    assert (reply.status_code, reply.headers["Content-Type"]) == (status, "application/json")
    assert Books.at_rest(tiers.data_dir).products["Whale"] == before - (status == 200)
