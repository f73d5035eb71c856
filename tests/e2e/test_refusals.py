"""A flood of buys that the store must refuse, beside shoppers whose buys succeed."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from domain.refusal_limit import BURST_S
from tests.support.books import Books
from tests.support.history import assert_answers_match_log
from tests.support.shoppers import Shoppers, session
from tests.support.tiers import Tiers, products_file, running

FLOOD = 1_500
PER_S = 1


def refused_buys(tiers: Tiers, strangers: range) -> list[int]:
    """Sends buys of an unknown product and of too many pieces in turn, and returns the status of each."""
    with session() as stranger:
        return [
            stranger.post(
                tiers.url("front_end") + ("/Unicorn/1" if number % 2 else "/Tux/900000"),
                headers={"Idempotency-Key": f"stranger-{number}"},
                timeout=20,
            ).status_code
            for number in strangers
        ]


def test_a_flood_of_refused_buys_fills_no_disk_and_holds_up_no_shopper(tmp_path: Path) -> None:
    settings = {"PRODUCTS": products_file(tmp_path, "Tux 1.50 10000"), "REFUSED_PER_S": str(PER_S)}
    with running(tmp_path / "data", **settings) as tiers, ThreadPoolExecutor(8) as pool:
        begun = time.monotonic()
        shoppers = Shoppers(tiers.url("front_end"))
        flood = [pool.submit(refused_buys, tiers, range(number, FLOOD, 8)) for number in range(8)]
        shoppers.share([(f"key-{number}", "Tux", 1) for number in range(400)], 4, meanwhile=lambda: None)
        statuses = [status for share in flood for status in share.result()]
        took_s = time.monotonic() - begun
        # Later, a repeated key gets its first answer again.
        shoppers.share([(f"key-{number}", "Tux", 1) for number in range(0, 400, 7)], 4, meanwhile=lambda: None)
        books = Books.read(tiers.data_dir)
        with session() as stranger:
            url = tiers.url("order") + "/products/Unicorn/1"
            behind = {stranger.get(url, timeout=20).status_code for _ in range(50)}
    books.check()
    assert_answers_match_log(books, {key: buy.answers for key, buy in shoppers.history.merged().items()})
    assert shoppers.statuses == {200}, "successful buys are not throttled"
    assert set(statuses) == {404, 429}
    assert statuses.count(404) == len(books.refused) == len(books.refused_by_catalog)
    assert BURST_S * PER_S <= len(books.refused) <= BURST_S * PER_S + took_s * PER_S
    assert 429 in behind, "the order tier throttles direct requests too"
