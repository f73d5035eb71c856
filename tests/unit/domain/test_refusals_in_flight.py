"""Two batches in flight, and the limit to refused buys."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from db.catalog import CatalogStore
from db.order import OrderStore
from domain.errors import OutOfStock, ProductNotFound, Unavailable
from domain.protocols import Found, Sale
from domain.refusals import BURST_S, Allowance, LimitedCheckout
from domain.values import Buy
from tests.support.books import Books
from wsgi_apps.batcher import Batcher

BURST = 6
PER_S = BURST / BURST_S


def unknown(name: object) -> Buy:
    return Buy(f"unknown-{name}", "Unicorn", 1)


class Catalog:
    """The catalog. A sale waits for `gate`, if there is one; a look-up takes `lookup_s` of the time it may have."""

    def __init__(self, catalog: CatalogStore) -> None:
        self._catalog = catalog
        self.gate: threading.Barrier | threading.Event | None = None
        self.selling = threading.Semaphore(0)
        self.is_deaf = False

    def lookup(self, names: Sequence[str], timeout_s: float | None = None) -> Sequence[Found]:
        if self.is_deaf:  # as a tier that takes connections and never answers
            assert timeout_s is not None
            time.sleep(timeout_s)
            raise Unavailable(retry_after_s=1)
        return self._catalog.lookup(names)

    def sell(self, buys: Sequence[Buy], timeout_s: float | None = None) -> list[Sale]:
        self.selling.release()
        if self.gate is not None:
            self.gate.wait(10)
        return self._catalog.sell(buys)


@pytest.fixture
def slow(catalog: CatalogStore) -> Catalog:
    return Catalog(catalog)


@pytest.fixture
def allowance() -> Allowance:
    return Allowance(PER_S, clock=lambda: 1000.0)


@pytest.fixture
def checkout(orders: OrderStore, slow: Catalog, allowance: Allowance) -> LimitedCheckout:
    return LimitedCheckout(orders, slow, allowance)


def test_one_refused_key_in_two_batches_is_paid_once(
    checkout: LimitedCheckout, slow: Catalog, allowance: Allowance, tmp_path: Path
) -> None:
    slow.gate = threading.Barrier(2)  # both are at the catalog
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(checkout.place_all, [[unknown("a")], [unknown("a")]]))
    assert answers == [[ProductNotFound()], [ProductNotFound()]]
    assert len(Books.read(tmp_path).refused) == 1
    assert allowance.left() == BURST - 1, "one was written down"


def test_a_batch_knows_of_the_pieces_that_the_one_before_is_about_to_take(
    checkout: LimitedCheckout, slow: Catalog, tmp_path: Path
) -> None:
    """Else as many as fit a batch are refused, and written down, beyond the limit, for each product that sells out."""
    assert checkout.place_all([unknown(number) for number in range(BURST)]) == [ProductNotFound()] * BURST
    gate = slow.gate = threading.Event()
    slow.selling = threading.Semaphore(0)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(checkout.place_all, [Buy("all", "Tux", 80)])
        assert slow.selling.acquire(timeout=10)
        second = pool.submit(checkout.place_all, [Buy(f"late-{number}", "Tux", 1) for number in range(100)])
        time.sleep(0.3)
        gate.set()
        assert first.result() == [0]
        second.result()
    assert len(Books.read(tmp_path).refused) == BURST


def test_a_buy_that_will_be_refused_takes_no_pieces_from_others(checkout: LimitedCheckout, slow: Catalog) -> None:
    checkout.place_all([unknown(number) for number in range(BURST - 1)])
    gate = slow.gate = threading.Event()
    slow.selling = threading.Semaphore(0)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(checkout.place_all, [Buy("too many", "Tux", 900_000)])
        assert slow.selling.acquire(timeout=10)
        second = pool.submit(checkout.place_all, [Buy("modest", "Tux", 1)])
        assert slow.selling.acquire(timeout=10), "it is at the catalog, and was not put off"
        gate.set()
        assert first.result() == [OutOfStock()]
        assert second.result() == [0]


def test_nobody_waits_longer_than_a_buy_may_take_while_the_catalog_is_deaf(
    checkout: LimitedCheckout, slow: Catalog
) -> None:
    """Two batches are in flight: the second must not have its whole time again when the first has let it wait."""
    checkout.place_all([unknown(number) for number in range(BURST)])
    slow.is_deaf = True
    timeout_s = 0.5
    buys: Batcher[Buy, object] = Batcher(checkout.place_all, max_batch_size=4, timeout_s=timeout_s, max_in_flight=2)
    waited: list[float] = []

    def shop(number: int) -> None:
        begun = time.monotonic()
        buys.ask([unknown(100 + number)]).exception(10)
        waited.append(time.monotonic() - begun)

    with ThreadPoolExecutor(20) as pool:
        for number in range(20):
            pool.submit(shop, number)
            time.sleep(0.01)
    assert max(waited) < timeout_s * 1.4, sorted(waited)
