"""The documented exchanges against running tiers, and `python -m tests.exchanges`, which checks any running store."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import requests

from tests.exchanges import EXCHANGES, Exchange
from tests.support.books import Books, query
from tests.support.tiers import ROOT, Tiers, clean_environment, free_port, products_file, running


@pytest.fixture(scope="module")
def tiers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tiers]:
    with running(tmp_path_factory.mktemp("e2e") / "data") as tiers:
        yield tiers


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda exchange: exchange.name)
def test_each_documented_exchange_is_answered_exactly(tiers: Tiers, exchange: Exchange) -> None:
    response = requests.request(exchange.method, tiers.url(exchange.tier) + exchange.path, timeout=10)
    exchange.check(response.status_code, response.headers["Content-Type"], response.text)


def test_each_tier_prints_its_address(tiers: Tiers) -> None:
    lines = [line for line in tiers.log.read_text().splitlines() if " serves " in line]
    assert sorted(lines) == sorted(f"{name} serves {tiers.url(name)}" for name in tiers.ports)


def test_sold_and_refused_buys_are_in_the_order_log(tiers: Tiers, tmp_path: Path) -> None:
    key = {"Idempotency-Key": "a-key-of-mine"}
    bought = requests.post(tiers.url("front_end") + "/Tux/2", headers=key, timeout=10).json()
    refused = requests.post(tiers.url("front_end") + "/Tux/500", headers={"Idempotency-Key": "no"}, timeout=10)
    assert refused.status_code == 404
    log = query(tiers.data_dir / "order.db", "SELECT order_number, product, quantity, key FROM order_log")
    assert (int(bought["data"]["order_number"]), "Tux", 2, "a-key-of-mine") in log
    assert (-1, "Tux", 500, "no") in log
    Books.read(tiers.data_dir).check()


@pytest.mark.parametrize(
    "path", ["/products", "/products?limit=1&q=x", "/products/Tux", "/health", "/ready", "/nowhere"]
)
def test_replies_of_front_end_and_catalog_are_one_line_of_json(tiers: Tiers, path: str) -> None:
    for name in ("front_end", "catalog"):
        response = requests.get(tiers.url(name) + path, timeout=10)
        assert response.content.endswith(b"}\n") and response.content.count(b"\n") == 1
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Content-Type"] == "application/json"


NOT_FOUND = b'{"error": {"code": 404, "message": "order not found"}}\n'


def test_the_front_end_shows_an_order_only_with_its_key(tiers: Tiers) -> None:
    bought = requests.post(tiers.url("front_end") + "/Bird/3", timeout=10)
    number, key = bought.json()["data"]["order_number"], {"Idempotency-Key": bought.headers["Idempotency-Key"]}
    for name, headers in (("front_end", key), ("order", key), ("order", {})):
        order = requests.get(f"{tiers.url(name)}/orders/{number}", headers=headers, timeout=10).json()["data"]
        assert (order["order_number"], order["name"], order["quantity"], order["price"]) == (number, "Bird", 3, 39.99)
    unknown = requests.get(f"{tiers.url('order')}/orders/999999", timeout=10)
    for headers in ({}, {"Idempotency-Key": "another"}):
        hidden = requests.get(f"{tiers.url('front_end')}/orders/{number}", headers=headers, timeout=10)
        assert (hidden.status_code, hidden.content) == (unknown.status_code, unknown.content) == (404, NOT_FOUND)


def test_unusual_names_pass_through_all_tiers(tiers: Tiers) -> None:
    for name in ("..", "%41", "a?b#c", "\u4f01\u9d5d &", "x" * 64):
        path = quote(name, safe="").replace(".", "%2E")
        for response in (
            requests.get(f"{tiers.url('front_end')}/products/{path}", timeout=10),
            requests.post(f"{tiers.url('front_end')}/{path}/1", timeout=10),
        ):
            assert (response.status_code, response.json()["error"]["message"]) == (404, "product not found")


def exchanges(tiers: Tiers, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Runs the program on a store of which it has only the addresses of the tiers."""
    addresses = {
        "FRONT": tiers.url("front_end"),
        "CATALOG": f"127.0.0.1:{tiers.ports['catalog']}",
        "ORDER": f"localhost:{tiers.ports['order']}",
    }
    command = [sys.executable, "-m", "tests.exchanges", *arguments]
    environment = clean_environment() | addresses | settings
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_the_program_passes_on_a_store_that_has_sold(tmp_path: Path) -> None:
    with running(tmp_path / "data") as tiers:
        requests.post(tiers.url("front_end") + "/Tux/7", timeout=10)
        for _ in range(2):
            ended = exchanges(tiers)
            assert (ended.returncode, ended.stderr) == (0, "")
            lines = ended.stdout.splitlines()
            assert [line.removeprefix("  pass  ") for line in lines[2:-1]] == [exchange.name for exchange in EXCHANGES]
            assert lines[1].startswith("It buys a Whale and an Elephant and takes a Bird"), "announced before the buys"
            assert lines[-1] == "13 of 13 replies are as documented."
        assert Books.at_rest(tiers.data_dir).products == {"Tux": 73, "Whale": 92, "Elephant": 85, "Bird": 96}


def test_the_program_reports_replies_that_differ(tmp_path: Path) -> None:
    with running(tmp_path / "data", PRODUCTS=products_file(tmp_path, "Tux 26.99 80", "Bird 39.99 1")) as tiers:
        ended = exchanges(tiers)
    assert ended.returncode == 1
    assert "  FAIL  query at the catalog: GET http://127.0.0.1:" in ended.stdout
    assert '          expected  200 application/json {"data": {"name": "Tux", "price": 25.99, "quantity": 80}}\n' in (
        ended.stdout
    )
    assert '          actual    200 application/json {"data": {"name": "Tux", "price": 26.99, "quantity": 80}}\n' in (
        ended.stdout
    )
    assert "  pass  decrement at the catalog\n" in ended.stdout
    assert "7 of 13 replies are as documented.\n" in ended.stdout
    assert "conf/database.txt" in ended.stdout


def test_the_program_sends_the_secret_to_the_tiers_behind(tmp_path: Path) -> None:
    with running(tmp_path / "data", TIER_SECRET="s" * 32) as tiers:
        assert exchanges(tiers, TIER_SECRET="s" * 32).returncode == 0
        ended = exchanges(tiers)
    assert ended.returncode == 1
    assert "actual    401 " in ended.stdout


def test_the_program_names_a_tier_that_does_not_answer(tiers: Tiers) -> None:
    ended = exchanges(tiers, ORDER=f"127.0.0.1:{free_port()}")
    assert ended.returncode == 2
    [line] = ended.stderr.splitlines()
    assert line.startswith("exchanges: no answer: ")


def test_help_and_unknown_arguments_buy_nothing(tmp_path: Path) -> None:
    with running(tmp_path / "data") as tiers:
        helped, mistyped = exchanges(tiers, "--help"), exchanges(tiers, "FRONT=192.0.2.9")
        assert Books.at_rest(tiers.data_dir).products == {"Tux": 80, "Whale": 94, "Elephant": 87, "Bird": 98}
    assert (helped.returncode, helped.stderr) == (0, "")
    assert helped.stdout.startswith("usage: python -m tests.exchanges [-h]\n")
    assert mistyped.returncode == 2
    assert "unrecognized arguments: FRONT=192.0.2.9" in mistyped.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_report_that_cannot_be_written_is_one_line(tiers: Tiers) -> None:
    addresses = {"FRONT": tiers.url("front_end"), "CATALOG": tiers.url("catalog"), "ORDER": tiers.url("order")}
    command = [sys.executable, "-m", "tests.exchanges"]
    environment = clean_environment() | addresses
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            command, cwd=ROOT, env=environment, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )
    assert (ended.returncode, ended.stderr) == (2, "exchanges: [Errno 28] No space left on device\n")
