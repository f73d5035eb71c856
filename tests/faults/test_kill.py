"""kill -9 of each tier's worker and master in the middle of buys, under the supervisor of `make run`."""

from pathlib import Path

from tests.support.books import Books, assert_audit_is_clean
from tests.support.patched_constants import LONG_DEADLINES
from tests.support.shoppers import Shoppers
from tests.support.supervised_store import SupervisedStore
from tests.support.tiers import products_file

CLIENTS = 16
BUYS = 2_000


def test_kills_of_every_tier_lose_repeat_and_oversell_no_buy(tmp_path: Path) -> None:
    products = products_file(tmp_path, "Ticket 50 900", "Tux 25.99 10000")
    buys = [(f"key-{number}", "Ticket" if number % 2 else "Tux", 1) for number in range(BUYS)]
    with SupervisedStore(tmp_path / "data", PRODUCTS=products) as store:
        shoppers = Shoppers(store.url("front_end"), deadline_s=60.0)
        shop_and_kill(store, shoppers, buys, ("catalog", "order", "front_end"))
        # A repeated key gets the same answer.
        shoppers.share(buys[::7], CLIENTS, meanwhile=lambda: None)
        store.wait_until_all_answer()
        books = Books.at_rest(store.data_dir)
        assert_audit_is_clean(store.data_dir)
    assert shoppers.resets > 0, "the kills of the front end cut connections"
    assert shoppers.statuses <= {200, 404, 503}
    shoppers.history.check(books)
    assert len(shoppers.answered) == BUYS
    assert books.products == {"Ticket": 0, "Tux": 10_000 - BUYS // 2}
    assert len(books.orders) == 900 + BUYS // 2


def test_a_kill_behind_the_front_end_only_delays_answers(tmp_path: Path) -> None:
    products = products_file(tmp_path, "Tux 25.99 10000")
    buys = [(f"key-{number}", "Tux", 1) for number in range(800)]
    with SupervisedStore(tmp_path / "data", LONG_DEADLINES, PRODUCTS=products) as store:
        shoppers = Shoppers(store.url("front_end"), deadline_s=120.0, timeout_s=120.0)
        shop_and_kill(store, shoppers, buys, ("catalog", "order"))
        store.wait_until_all_answer()
        books = Books.at_rest(store.data_dir)
        assert_audit_is_clean(store.data_dir)
    shoppers.history.check(books)
    assert shoppers.resets == 0
    assert shoppers.statuses == {200}


def shop_and_kill(
    store: SupervisedStore, shoppers: Shoppers, buys: list[tuple[str, str, int]], tiers: tuple[str, ...]
) -> None:
    """Places all buys, and meanwhile kills a worker of each tier, then each master, at even intervals of buys."""
    victims = [(tier, victim) for victim in ("worker", "master") for tier in tiers]
    answered = 0

    def kill_in_turn() -> None:
        nonlocal answered
        for at, (tier, victim) in enumerate(victims, start=1):
            shoppers.wait_until_answered(len(buys) * at // (len(victims) + 1))
            store.kill(tier, victim)
            answered = len(shoppers.answered)

    shoppers.share(buys, CLIENTS, meanwhile=kill_in_turn)
    assert answered < len(buys), "the last kill came before the last buy"
