"""kill -9 of every tier, worker and master, in the middle of buys, under the supervisor of `make run`."""

import time
from pathlib import Path

from tests.books import Books, query
from tests.shoppers import Shoppers
from tests.store import Store

CLIENTS = 16
BUYS = 2_000
# How long after the last kill buys may stay in doubt.
DRAINS_WITHIN_S = 10.0


def test_no_kill_loses_repeats_or_oversells_a_buy(tmp_path: Path) -> None:
    products = tmp_path / "products.txt"
    products.write_text("Ticket 50 900\nTux 25.99 10000\n")
    with Store(tmp_path / "data", PRODUCTS=str(products)) as store:
        shoppers = Shoppers(store.url("front_end"))
        answered: list[int] = []  # keys with an answer at each kill

        def kill_each_in_turn() -> None:
            for victim in ("worker", "master"):
                for tier in ("catalog", "order", "front_end"):
                    time.sleep(0.4)
                    answered.append(len(shoppers.replies))
                    store.kill(tier, victim)
                    store.wait_until_all_answer()

        buys = [(f"key-{number}", "Ticket" if number % 2 else "Tux", 1) for number in range(BUYS)]
        shoppers.share(buys, CLIENTS, meanwhile=kill_each_in_turn)
        # Whoever repeats a key afterwards is told the same again.
        shoppers.share(buys[::7], CLIENTS, meanwhile=lambda: None)
        wait_until_no_buy_is_in_doubt(store.data_dir)
        books = Books.read(store.data_dir)
    assert answered[-1] < BUYS, "the last kill came in the middle of the buys too"
    assert shoppers.resets > 0, "the kills of the front end were felt"
    assert shoppers.statuses <= {200, 404, 503}
    books.check()
    books.check_replies(shoppers.replies)
    assert len(shoppers.replies) == BUYS
    assert books.products == {"Ticket": 0, "Tux": 10_000 - BUYS // 2}
    assert len(books.orders) == 900 + BUYS // 2


def test_a_kill_behind_the_front_end_is_at_worst_a_slow_answer(tmp_path: Path) -> None:
    products = tmp_path / "products.txt"
    products.write_text("Tux 25.99 10000\n")
    with Store(tmp_path / "data", PRODUCTS=str(products)) as store:
        shoppers = Shoppers(store.url("front_end"))
        answered: list[int] = []

        def kill_behind() -> None:
            for victim in ("worker", "master"):
                for tier in ("catalog", "order"):
                    time.sleep(0.3)
                    answered.append(len(shoppers.replies))
                    store.kill(tier, victim)
                    store.wait_until_all_answer()

        shoppers.share([(f"key-{number}", "Tux", 1) for number in range(800)], CLIENTS, meanwhile=kill_behind)
        wait_until_no_buy_is_in_doubt(store.data_dir)
        books = Books.read(store.data_dir)
    books.check()
    books.check_replies(shoppers.replies)
    assert answered[-1] < 800, "the last kill came in the middle of the buys too"
    assert shoppers.resets == 0
    assert shoppers.statuses == {200}


def wait_until_no_buy_is_in_doubt(data_dir: Path) -> None:
    deadline = time.monotonic() + DRAINS_WITHIN_S
    while query(data_dir / "order.db", "SELECT 1 FROM intents"):
        assert time.monotonic() < deadline, "I6: buys in doubt drain by themselves"
        time.sleep(0.1)
