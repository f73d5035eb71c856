"""The desk exports the order log as CSV: complete, in order, and in flat memory, while others buy."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from bench import seed
from bench.workers import leak_limit
from tests.support.exports import export_orders, peak_memory
from tests.support.tiers import Tiers, running
from tests.support.waiting import wait_until

SECRET = "the-secret-of-the-owner-in-these-tests"
ORDERS, PRODUCTS = 200_000, 20  # so that each product has 10,000 orders
EXPORTING = ("back_office", "order")


@pytest.fixture(scope="module")
def tiers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tiers]:
    """A store with 200,000 orders, and its back office."""
    data_dir = tmp_path_factory.mktemp("csv") / "data"
    seed.fill(data_dir, products=PRODUCTS, orders=ORDERS)
    with running(data_dir, OWNER_SECRET=SECRET) as tiers:
        tiers.start("back_office")
        yield tiers


def peaks(tiers: Tiers) -> dict[str, int]:
    return {tier: peak_memory(tiers.workers(tier)[0]) for tier in EXPORTING}


def test_twenty_times_the_rows_need_no_more_memory(tiers: Tiers) -> None:
    few = [int(row[1]) for row in export_orders(tiers, SECRET, "?product=product-0")]
    assert few == list(range(ORDERS - PRODUCTS, -1, -PRODUCTS))
    before = peaks(tiers)
    count = 0
    for row in export_orders(tiers, SECRET):
        count += 1
        assert int(row[1]) == ORDERS - count
        if count % 20_000 == 0:  # a later order is in no later page
            requests.post(f"{tiers.url('front_end')}/product-1/1", timeout=30).raise_for_status()
    assert count == ORDERS
    after = peaks(tiers)
    assert all(after[tier] <= leak_limit(before[tier]) for tier in EXPORTING), (before, after)


def test_a_client_that_goes_away_leaves_nothing_behind(tiers: Tiers) -> None:
    def thread_count() -> int:
        return len(list(Path(f"/proc/{tiers.workers('back_office')[0]}/task").iterdir()))

    def sockets() -> int:
        descriptors = Path(f"/proc/{tiers.workers('back_office')[0]}/fd").iterdir()
        return sum(1 for descriptor in descriptors if "socket" in str(descriptor.readlink()))

    before = sockets()
    for _ in range(20):  # more than the worker has threads
        rows = export_orders(tiers, SECRET)
        next(rows)
        rows.close()  # type: ignore[attr-defined]
    wait_until("the sockets are closed", lambda: sockets() <= before + 2, timeout_s=60)
    assert thread_count() < 40
    assert requests.get(f"{tiers.url('back_office')}/health", timeout=30).status_code == 200


def test_a_client_notices_an_export_that_broke_off(tiers: Tiers) -> None:
    """The order tier stays away, so the file has no end: the connection breaks instead."""
    with pytest.raises(requests.RequestException):
        for number, _ in enumerate(export_orders(tiers, SECRET)):
            if number == 0:
                tiers.stop("order")
    tiers.start("order")
