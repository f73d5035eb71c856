"""Two of each tier behind on one PostgreSQL: the loss and the restart of each while shoppers buy."""

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests

from tests.support.books import DRAIN_TIMEOUT_S, Books
from tests.support.postgres import TestServer
from tests.support.shoppers import Shoppers, session
from tests.support.tiers import Tiers, products_file
from tests.support.waiting import wait_until

BEHIND = ("catalog", "order")
TICKETS = 1000  # fewer than are asked for while a tier starts
SHOPPERS = 12


class Twins:
    """Two catalogs and two order tiers, and one front end, which the first has."""

    def __init__(self, folder: Path, catalog: str, log: str) -> None:
        self.databases = catalog, log
        folder.mkdir()
        settings = {"CATALOG_DATABASE": catalog, "ORDER_DATABASE": log}
        settings["PRODUCTS"] = products_file(folder, f"Ticket 50 {TICKETS}")
        self.first, self.second = (Tiers(folder / name, **settings) for name in ("first", "second"))
        addresses = {
            tier.upper(): ",".join(f"127.0.0.1:{tiers.ports[tier]}" for tiers in (self.first, self.second))
            for tier in BEHIND
        }
        for tiers in (self.first, self.second):
            tiers.environment |= addresses

    def start(self) -> None:
        self.second.start(*BEHIND)
        self.first.start()

    def stop(self) -> None:
        self.first.stop()
        self.second.stop()

    @property
    def log(self) -> str:
        return self.first.log.read_text() + self.second.log.read_text()

    def books(self) -> Books:
        """Returns the books once no buy is in doubt."""
        catalog, log = self.databases

        def query(address: str, schema: str, sql: str) -> list[Any]:
            with psycopg.connect(address, autocommit=True, options=f"-c search_path={schema}") as connection:
                return connection.execute(sql.encode()).fetchall()

        wait_until(
            "buys in doubt drain by themselves",
            lambda: not query(log, "log", "SELECT 1 FROM intents"),
            timeout_s=DRAIN_TIMEOUT_S,
            every_s=0.1,
            details=lambda: self.log,
        )
        return Books.read_by(lambda sql: query(catalog, "catalog", sql), lambda sql: query(log, "log", sql))


@contextmanager
def running(folder: Path, catalog: str, log: str) -> Iterator[Twins]:
    twins = Twins(folder, catalog, log)
    try:
        twins.start()
        yield twins
    finally:
        twins.stop()


@pytest.fixture
def twins(tmp_path: Path, postgres_server: TestServer) -> Iterator[Twins]:
    """All tiers on one database."""
    with postgres_server.database() as both, running(tmp_path / "store", both, both) as twins:
        yield twins


@pytest.fixture
def twins_on_two(tmp_path: Path, postgres_server: TestServer) -> Iterator[Twins]:
    """The catalogs on one database and the order tiers on another one."""
    with (
        postgres_server.database() as catalog,
        postgres_server.database() as log,
        running(tmp_path / "store", catalog, log) as twins,
    ):
        yield twins


def kill(tiers: Tiers, name: str) -> None:
    """Kills the master and the workers of a tier with kill -9, as the loss of its machine would."""
    os.killpg(tiers.master(name), signal.SIGKILL)
    tiers.stop(name)


@contextmanager
def shopping(shoppers: Shoppers) -> Iterator[None]:
    """Lets shoppers buy without a pause until the end of the block."""
    ending = threading.Event()

    def shop(number: int) -> None:
        with session() as store:
            for turn in count():
                if ending.is_set():
                    return
                shoppers.buy(store, f"key-{number}-{turn}", "Ticket", 1)

    with ThreadPoolExecutor(SHOPPERS) as pool:
        running = [pool.submit(shop, number) for number in range(SHOPPERS)]
        try:
            yield
        finally:
            ending.set()
        for each in running:
            each.result()


def wait_for_answers(shoppers: Shoppers, more: int) -> None:
    shoppers.wait_until_answered(len(shoppers.answered) + more)


def check(twins: Twins, shoppers: Shoppers) -> None:
    """Holds the books against the promises, and each answer against the books."""
    books = twins.books()
    books.check()
    shoppers.history.check(books)
    assert shoppers.answered == {key for _, key, _, _ in books.orders} | books.refused.keys()


def test_every_buy_is_answered_once_while_each_tier_is_killed_in_turn(twins_on_two: Twins) -> None:
    twins = twins_on_two
    shoppers = Shoppers(twins.first.url("front_end"), deadline_s=60.0)
    with shopping(shoppers):
        for tiers in (twins.second, twins.first):
            for name in BEHIND:
                wait_for_answers(shoppers, 50)
                kill(tiers, name)
                wait_for_answers(shoppers, 50)
                tiers.start(name)
    check(twins, shoppers)
    assert shoppers.statuses <= {200, 404, 503}
    for name, tier in (("catalog", "catalog"), ("order", "order tier")):
        for tiers in (twins.first, twins.second):
            assert f"the {tier} at 127.0.0.1:{tiers.ports[name]} does not answer" in twins.log


def test_a_restart_of_each_tier_in_turn_loses_no_request(twins: Twins) -> None:
    """A rolling upgrade: by SIGTERM and a new process where there are two, by SIGHUP where there is one."""
    shoppers = Shoppers(twins.first.url("front_end"), deadline_s=60.0)
    with shopping(shoppers):
        for name in BEHIND:
            for tiers in (twins.first, twins.second):
                wait_for_answers(shoppers, 50)
                tiers.stop(name)
                wait_for_answers(shoppers, 50)
                tiers.start(name)
        twins.first.reload("front_end")
        wait_for_answers(shoppers, 50)
    assert (shoppers.statuses <= {200, 404}, shoppers.resets) == (True, 0), f"{shoppers.statuses} {twins.log}"
    check(twins, shoppers)


def test_a_front_end_is_ready_with_one_of_each_tier_behind(twins: Twins) -> None:
    for name in BEHIND:
        kill(twins.second, name)
    ready = twins.first.url("front_end") + "/ready"
    assert requests.get(ready, timeout=30).status_code == 200
    kill(twins.first, "catalog")

    def names_both() -> bool:
        message = str(requests.get(ready, timeout=30).json().get("error", {}).get("message"))
        return all(
            f"127.0.0.1:{tiers.ports['catalog']} does not answer" in message for tiers in (twins.first, twins.second)
        )

    wait_until("both catalogs are named", names_both)
