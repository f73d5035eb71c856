"""The limit to refused buys while two batches are in flight."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from db.sqlite.catalog import CatalogStore
from db.sqlite.order import OrderStore
from domain.errors import OutOfStock, ProductNotFound, Unavailable
from domain.limited_checkout import LimitedCheckout
from domain.pairing import LogMark
from domain.protocols import Catalog, Found, Sale
from domain.refusal_limit import RefusalLimit
from domain.values import Buy
from tests.support.books import Books
from tests.support.buying import BURST, unknown
from tests.support.catalog_proxy import CatalogProxy
from wsgi_apps.batcher import Batcher


class SlowCatalog(CatalogProxy):
    """A catalog whose sales wait for `gate`, if there is one. While it hangs, a look-up takes its whole timeout.

    `selling` counts the sales that have begun.
    """

    def __init__(self, catalog: Catalog) -> None:
        super().__init__(catalog)
        self.gate: threading.Barrier | threading.Event | None = None
        self.selling = threading.Semaphore(0)
        self.hangs = False

    def lookup(self, names: Sequence[str], timeout_s: float | None = None) -> Sequence[Found]:
        if self.hangs:  # as a tier that accepts connections and never answers
            assert timeout_s is not None
            time.sleep(timeout_s)
            raise Unavailable(retry_after_s=1)
        return super().lookup(names)

    def sell(
        self, buys: Sequence[Buy], timeout_s: float | None = None, *, log: LogMark | None = None
    ) -> Sequence[Sale | Unavailable]:
        self.selling.release()
        if self.gate is not None:
            self.gate.wait(10)
        return super().sell(buys)


@pytest.fixture
def slow(catalog: CatalogStore) -> SlowCatalog:
    return SlowCatalog(catalog)


@pytest.fixture
def limited(orders: OrderStore, slow: SlowCatalog, limit: RefusalLimit) -> LimitedCheckout:
    return LimitedCheckout(orders, slow, limit)


def test_one_refused_key_in_two_batches_spends_one_token(
    limited: LimitedCheckout, slow: SlowCatalog, limit: RefusalLimit, tmp_path: Path
) -> None:
    slow.gate = threading.Barrier(2)  # both are at the catalog
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(limited.place_all, [[unknown("a")], [unknown("a")]]))
    assert answers == [[ProductNotFound()], [ProductNotFound()]]
    assert len(Books.read(tmp_path).refused) == 1
    assert limit.room() == BURST - 1, "one refusal was stored"


def test_pieces_that_a_batch_in_flight_will_take_are_not_promised_to_the_next(
    exhausted: LimitedCheckout, slow: SlowCatalog, tmp_path: Path
) -> None:
    """Otherwise a whole batch is refused, and stored, beyond the limit, for each product that sells out."""
    gate = slow.gate = threading.Event()
    slow.selling = threading.Semaphore(0)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(exhausted.place_all, [Buy("all", "Tux", 80)])
        assert slow.selling.acquire(timeout=10)
        second = pool.submit(exhausted.place_all, [Buy(f"late-{number}", "Tux", 1) for number in range(100)])
        time.sleep(0.3)
        gate.set()
        assert first.result() == [0]
        second.result()
    assert len(Books.read(tmp_path).refused) == BURST


def test_a_buy_that_will_be_refused_takes_no_pieces_from_others(limited: LimitedCheckout, slow: SlowCatalog) -> None:
    limited.place_all([unknown(number) for number in range(BURST - 1)])
    gate = slow.gate = threading.Event()
    slow.selling = threading.Semaphore(0)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(limited.place_all, [Buy("too many", "Tux", 900_000)])
        assert slow.selling.acquire(timeout=10)
        second = pool.submit(limited.place_all, [Buy("modest", "Tux", 1)])
        assert slow.selling.acquire(timeout=10), "it is at the catalog, and was not throttled"
        gate.set()
        assert first.result() == [OutOfStock()]
        assert second.result() == [0]


def test_no_buy_waits_longer_than_its_timeout_while_the_catalog_hangs(
    exhausted: LimitedCheckout, slow: SlowCatalog
) -> None:
    """The second of two batches in flight must not have its whole time again after its wait for the first."""
    slow.hangs = True
    timeout_s = 0.5
    buys: Batcher[Buy, object] = Batcher(exhausted.place_all, max_batch_size=4, timeout_s=timeout_s, max_in_flight=2)
    waited_s: list[float] = []

    def shop(number: int) -> None:
        begun = time.monotonic()
        buys.ask([unknown(100 + number)]).exception(10)
        waited_s.append(time.monotonic() - begun)

    with ThreadPoolExecutor(20) as pool:
        for number in range(20):
            pool.submit(shop, number)
            time.sleep(0.01)
    assert max(waited_s) < timeout_s * 1.4, sorted(waited_s)
