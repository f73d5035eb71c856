"""A network around the tiers that loses, delays, doubles and cuts messages, and tiers stopped by SIGSTOP."""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from domain.returns import Return, Returned
from tests.faults.proxy import BAD_NETWORK, Proxy
from tests.support.books import Books, assert_audit_is_clean
from tests.support.owners import SECRET, Owner
from tests.support.shoppers import Shoppers, session
from tests.support.tiers import NAMES, Tiers, products_file

CLIENTS = 16
# How long a tier is stopped. `make faults` stops it for longer.
STOPPED_S = float(os.environ.get("STOPPED_S", "5"))
DEADLINE_S = 120.0
BAD_NETWORK_BUYS = 256
# Each order has three pieces: one comes back, then the rest.
BAD_NETWORK_ORDERS = 16
PRODUCTS = ("Ticket 50 40", "Tux 25.99 10000")
# From the end of a fault until no buy is in doubt.
MAX_RECOVERY_S = 30.0
# Delays above the deadlines of calls from the order tier (2 s) and from the front end (6 s).
LATE_FOR_ORDER_S, LATE_FOR_FRONT_END_S = 2.5, 6.5


def buys_of(count: int) -> list[tuple[str, str, int]]:
    """Returns buys of Tux, and every fourth of one of 40 tickets."""
    return [(f"key-{number}", "Tux" if number % 4 else "Ticket", 1) for number in range(count)]


def check_recovery(tiers: Tiers, shoppers: Shoppers) -> Books:
    """Asserts that no buy is in doubt within MAX_RECOVERY_S and that the history agrees. Returns the books."""
    mended = time.monotonic()
    with session() as shop:
        shoppers.buy(shop, "afterwards", "Tux", 1)
    books = Books.at_rest(tiers.data_dir)
    assert time.monotonic() < mended + MAX_RECOVERY_S
    shoppers.history.check(books)
    assert_audit_is_clean(tiers.data_dir)
    return books


def test_a_bad_network_between_the_tiers_loses_repeats_and_refuses_no_buy(tmp_path: Path) -> None:
    tiers = Tiers(tmp_path / "data", PRODUCTS=products_file(tmp_path, *PRODUCTS))
    with (
        Proxy(tiers.ports["catalog"], late_s=LATE_FOR_ORDER_S, seed=1) as to_catalog,
        Proxy(tiers.ports["order"], late_s=LATE_FOR_FRONT_END_S, seed=2) as to_order,
    ):
        tiers.environment |= {
            "CATALOG": f"127.0.0.1:{to_catalog.port}",
            "ORDER": f"127.0.0.1:{to_order.port}",
        }
        try:
            tiers.start()
            shoppers = Shoppers(tiers.url("front_end"), deadline_s=DEADLINE_S)
            # Many shoppers at once: half of all calls fail, and each call carries all buys that wait for it.
            shoppers.share(buys_of(BAD_NETWORK_BUYS), BAD_NETWORK_BUYS // 2, meanwhile=lambda: None)
            to_catalog.mend()
            to_order.mend()
            books = check_recovery(tiers, shoppers)
        finally:
            tiers.stop()
    assert shoppers.statuses <= {200, 404, 503}
    assert books.products == {"Ticket": 0, "Tux": 10_000 - BAD_NETWORK_BUYS * 3 // 4 - 1}
    done = to_catalog.done + to_order.done
    assert done.keys() >= BAD_NETWORK.keys(), f"not every fault was tried: {done}"


def test_a_bad_network_between_owner_and_tiers_loses_and_repeats_no_return(tmp_path: Path) -> None:
    products = products_file(tmp_path, "Tux 25.99 10000")
    tiers = Tiers(tmp_path / "data", PRODUCTS=products, OWNER_SECRET=SECRET)
    with (
        Proxy(tiers.ports["catalog"], late_s=LATE_FOR_ORDER_S, seed=3) as to_catalog,
        Proxy(tiers.ports["order"], late_s=LATE_FOR_FRONT_END_S, seed=4) as to_order,
    ):
        tiers.environment |= {"CATALOG": f"127.0.0.1:{to_catalog.port}", "ORDER": f"127.0.0.1:{to_order.port}"}
        try:
            tiers.start()
            shoppers = Shoppers(tiers.url("front_end"), deadline_s=DEADLINE_S)
            buys = [(f"key-{number}", "Tux", 3) for number in range(BAD_NETWORK_ORDERS)]
            shoppers.share(buys, BAD_NETWORK_ORDERS, meanwhile=lambda: None)
            # Its own timeout is shorter than a late response: the same return is then sent again beside the first.
            url = f"http://127.0.0.1:{to_order.port}"
            owner = Owner(url, shoppers.history, deadline_s=DEADLINE_S, timeout_s=LATE_FOR_FRONT_END_S - 1)

            def give_back(number: int) -> None:
                with session() as desk:
                    for asked in (Return(f"one-{number}", number, 1), Return(f"rest-{number}", number)):
                        owner.give_back(desk, asked)
                        owner.give_back(desk, asked)

            with ThreadPoolExecutor(BAD_NETWORK_ORDERS) as pool:
                list(pool.map(give_back, range(BAD_NETWORK_ORDERS)))
            to_catalog.mend()
            to_order.mend()
            books = check_recovery(tiers, shoppers)
        finally:
            tiers.stop()
    assert owner.statuses <= {200, 503}
    assert len(books.returns) == 2 * BAD_NETWORK_ORDERS
    assert books.products == {"Tux": 10_000 - 1}, "the last buy alone is not given back"
    done = to_catalog.done + to_order.done
    assert done.keys() >= BAD_NETWORK.keys(), f"not every fault was tried: {done}"
    answers = [one.answer for one in shoppers.history.return_attempts]
    assert answers.count(None) > 0, "some answers were lost"
    assert all(isinstance(answer, Returned) for answer in answers if answer is not None)


@contextmanager
def stopped(tiers: Tiers, tier: str) -> Iterator[None]:
    """Sends SIGSTOP to a tier's master and workers, and SIGCONT after the block."""
    processes = [tiers.master(tier), *tiers.workers(tier)]
    for pid in processes:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in processes:
            os.kill(pid, signal.SIGCONT)


def wait_until_no_buy_is_answered(shoppers: Shoppers) -> int:
    """Waits until no key has got an answer for a second. Returns how many keys have one."""
    answered = -1
    while answered < (answered := len(shoppers.answered)):
        time.sleep(1.0)
    return answered


@pytest.mark.parametrize("tier", NAMES)
def test_a_stopped_tier_loses_repeats_and_refuses_no_buy(tier: str, tmp_path: Path) -> None:
    tiers = Tiers(tmp_path / "data", PRODUCTS=products_file(tmp_path, *PRODUCTS))
    buys = buys_of(600)
    answered_before = answered_meanwhile = 0

    def stop() -> None:
        nonlocal answered_before, answered_meanwhile
        shoppers.wait_until_answered(100)
        with stopped(tiers, tier):
            # The requests under way in the other tiers still end.
            answered_before = wait_until_no_buy_is_answered(shoppers)
            time.sleep(STOPPED_S)
            answered_meanwhile = len(shoppers.answered) - answered_before

    try:
        tiers.start()
        shoppers = Shoppers(tiers.url("front_end"), deadline_s=DEADLINE_S)
        shoppers.share(buys, CLIENTS, meanwhile=stop)
        books = check_recovery(tiers, shoppers)
    finally:
        tiers.stop()
    assert answered_before < len(buys), "it was stopped in the middle of the buys"
    assert answered_meanwhile == 0
    assert shoppers.statuses <= {200, 404, 503}
    assert books.products == {"Ticket": 0, "Tux": 10_000 - len(buys) * 3 // 4 - 1}
