"""The owner's commands on a running store: shoppers see each change at their next request."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import apsw
import pytest
import requests

from admin.program import main
from db.sqlite.order import OrderStore
from domain.returns import Return
from tests.support.books import Books
from tests.support.shoppers import Shoppers, session
from tests.support.tiers import ROOT, products_file, running


def owner(*arguments: str) -> None:
    """Runs a command of the owner, which must succeed."""
    assert main(list(arguments)) == 0


def ask(shop: requests.Session, method: str, url: str, key: str = "") -> tuple[int, Any]:
    """Sends a request, and returns its status and its data or error message."""
    response = shop.request(method, url, headers={"Idempotency-Key": key} if key else None, timeout=10)
    body = response.json()
    return response.status_code, body["data"] if response.ok else body["error"]["message"]


def test_shoppers_see_what_the_owner_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    with running(tmp_path / "data") as tiers, session() as shop:
        url = tiers.url("front_end")
        assert ask(shop, "GET", f"{url}/products/Cat") == (404, "product not found")
        owner("add", "Cat", "12.50", "1", "--key", "a")
        assert ask(shop, "GET", f"{url}/products/Cat") == (200, {"name": "Cat", "price": 12.5, "quantity": 1})
        assert ask(shop, "POST", f"{url}/Cat/1", "first") == (200, {"order_number": "0"})
        assert ask(shop, "POST", f"{url}/Cat/1", "second") == (404, "out of stock")
        owner("restock", "Cat", "50", "--key", "typo")
        owner("writeoff", "Cat", "45", "--note", "a zero too many", "--key", "b")
        owner("price", "Cat", "13", "--key", "c")
        assert ask(shop, "POST", f"{url}/Cat/2", "third") == (200, {"order_number": "1"})
        orders = [ask(shop, "GET", f"{url}/orders/{number}", key) for number, key in enumerate(("first", "third"))]
        assert [order["price"] for _, order in orders] == [12.5, 13]
        with pytest.raises(apsw.ConstraintError, match="use python -m admin restock, writeoff or correct"):
            apsw.Connection(str(tmp_path / "data" / "catalog.db")).execute("UPDATE products SET quantity = 1")
        owner("correct", "Cat", "2", "--note", "one is broken", "--key", "e")
        assert ask(shop, "GET", f"{url}/products/Cat")[1]["quantity"] == 2
        owner("retire", "Cat", "--key", "d")
        assert ask(shop, "GET", f"{url}/products/Cat") == (404, "product not found")
        assert "Cat" not in [product["name"] for product in ask(shop, "GET", f"{url}/products")[1]]
        assert ask(shop, "POST", f"{url}/Cat/1", "fourth") == (404, "product not found")
        assert ask(shop, "POST", f"{url}/Cat/1", "first") == (200, {"order_number": "0"})
        assert ask(shop, "POST", f"{url}/Cat/1", "second") == (404, "out of stock")
        owner("audit")
        with open("/dev/full", "w") as full:
            ended = subprocess.run(
                [sys.executable, "-m", "admin", "status"],
                cwd=ROOT,
                env=tiers.environment,
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                timeout=60,
                check=False,
            )
        assert (ended.returncode, ended.stderr) == (2, "toy store: [Errno 28] No space left on device\n")
    books = Books.read(tmp_path / "data")
    books.check()
    assert books.products["Cat"] == 2


def test_every_buy_is_answered_while_the_owner_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    products = products_file(tmp_path, "Ticket 50 100", "Tux 25.99 0")
    with running(tmp_path / "data", PRODUCTS=products) as tiers:
        shoppers = Shoppers(tiers.url("front_end"))
        buys = [(f"key-{number}", "Ticket" if number % 4 else "Tux", 1) for number in range(1_200)]
        shoppers.share(buys, 8, meanwhile=lambda: work_as_owner(shoppers))
        with session() as shop:  # on a busy machine, the others are done before the product retires
            shoppers.buy(shop, "key-last", "Ticket", 1)
    books = Books.read(tmp_path / "data")
    shoppers.history.check(books)
    assert shoppers.statuses == {200, 404}
    assert sum(reason == "restock" for _, _, _, reason, _ in books.ledger) == 20, "each was commanded twice"
    assert set(books.refused.values()) == {"out of stock", "product not found"}


def work_as_owner(shoppers: Shoppers) -> None:
    """Restocks twenty times, each twice under one key, audits and reconciles in between, and retires a product."""
    for turn in range(20):
        shoppers.wait_until_answered(turn * 50)
        for _ in range(2):
            owner("restock", "Ticket", "30", "--key", f"restock-{turn}")
        shoppers.history.restocked_s[f"restock-{turn}"] = time.monotonic()
        owner("price", "Ticket", str(50 + turn), "--key", f"price-{turn}")
        if turn % 5 == 0:
            owner("audit")
            owner("reconcile", "--apply")
    shoppers.history.retired_s["Ticket"] = time.monotonic()
    owner("retire", "Ticket", "--key", "gone")


OWNER_SECRET = "owner---" * 4


def test_an_order_is_given_back_by_the_tier_and_by_the_program_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both take the last pieces of each order at once, with a catalog that is killed meanwhile."""
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    with running(tmp_path / "data", OWNER_SECRET=OWNER_SECRET) as tiers, session() as shop:
        url = tiers.url("order")
        for number in range(10):
            assert ask(shop, "POST", f"{tiers.url('front_end')}/Tux/2", f"buy-{number}")[0] == 200
        assert ask(shop, "POST", f"{url}/orders/0/returns", "stranger")[0] == 401
        assert ask(shop, "POST", f"{tiers.url('front_end')}/orders/0/returns", "shopper")[0] in (404, 405)
        with session() as desk, ThreadPoolExecutor(1) as program:
            desk.headers["Authorization"] = f"Bearer {OWNER_SECRET}"
            for number in range(10):
                beside = program.submit(main, ["return", str(number), "--key", f"program-{number}"])
                status = 503
                while status == 503:
                    status, answer = ask(desk, "POST", f"{url}/orders/{number}/returns", f"tier-{number}")
                if status == 200:
                    assert ask(desk, "POST", f"{url}/orders/{number}/returns", f"tier-{number}") == (200, answer)
                if number == 5:
                    os.kill(tiers.workers("catalog")[0], signal.SIGKILL)
                beside.result()
        books = Books.at_rest(tmp_path / "data")
        owner("audit")
    books.check()
    assert {number: pieces for _, number, pieces in books.returns} == dict.fromkeys(range(10), 2)
    assert books.products["Tux"] == 80


def test_a_return_that_a_stop_left_in_doubt_is_settled_by_the_next_start(tmp_path: Path) -> None:
    with running(tmp_path / "data") as tiers, session() as shop:
        assert ask(shop, "POST", f"{tiers.url('front_end')}/Tux/2", "buy")[0] == 200
    log = OrderStore(tmp_path / "data" / "order.db")
    log.begin_returns([Return("r", 0, 1)])
    log.close()
    with running(tmp_path / "data"):
        books = Books.at_rest(tmp_path / "data")
    books.check()
    assert books.returns == [("r", 0, 1)]
