"""An order log buys only from the catalog of its own store."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client

from db.sqlite.catalog import CatalogStore
from db.sqlite.order import OrderStore
from db.sqlite.pairing import store_id
from domain.errors import AnotherStore, ProductNotFound, Unavailable
from domain.limited_checkout import LimitedCheckout
from domain.pairing import Introduction, LogMark
from domain.protocols import Catalog, Found, Sale
from domain.refusal_limit import RefusalLimit
from domain.values import Buy, Product
from tests.contracts.catalog import CatalogContract
from tests.contracts.orders import OrdersContract
from tests.support.books import query
from tests.support.buying import place
from tests.support.catalog_proxy import CatalogProxy
from wsgi_apps import pairing
from wsgi_apps.catalog import CatalogApp
from wsgi_apps.pairing import PairedCatalog, PairedCheckout
from wsgi_apps.wire import decode_introduction, last_order_headers, mark_headers


class TestPairedCatalog(CatalogContract):
    """A paired catalog fulfils the contract of a catalog, when the log is of the same store."""

    @pytest.fixture
    def subject(self, orders: OrderStore, catalog: CatalogStore) -> PairedCatalog:
        return PairedCatalog(orders, catalog)


class TestPairedCheckout(OrdersContract):
    """A paired checkout fulfils the contract of orders, in front of a limited checkout as in the order tier."""

    @pytest.fixture
    def subject(self, orders: OrderStore, catalog: CatalogStore) -> PairedCheckout:
        return Worker(orders, catalog).checkout


class Tier(CatalogProxy):
    """A catalog tier without a network. `store` is None while it is away, and a test may replace it."""

    def __init__(self, store: CatalogStore) -> None:
        super().__init__(store)
        self.store: CatalogStore | None = store
        self.introductions = 0

    def _up(self) -> CatalogStore:
        if self.store is None:
            raise Unavailable
        return self.store

    def introduce(self, last_order: str | None, timeout_s: float | None = None) -> Introduction:
        self.introductions += 1
        return self._up().introduce(last_order)

    def lookup(self, names: Sequence[str], timeout_s: float | None = None) -> Sequence[Found]:
        return self._up().lookup(names)

    def sell(self, buys: Sequence[Buy], timeout_s: float | None = None, *, log: LogMark | None = None) -> list[Sale]:
        assert log is not None, "each call names its log"
        return self._up().sell(buys, log=log)


class Worker:
    """The checkouts of a worker of the order tier."""

    def __init__(self, orders: OrderStore, tier: Catalog) -> None:
        catalog = PairedCatalog(orders, tier)
        self._limited = LimitedCheckout(orders, catalog, RefusalLimit(1_000))
        self.checkout = PairedCheckout(self._limited, catalog)

    def place(self, buy: Buy) -> int:
        return place(self.checkout, buy)

    def settle(self) -> None:
        self._limited.settle(self._limited.intents(10))


@pytest.fixture
def tier(catalog: CatalogStore) -> Tier:
    return Tier(catalog)


@pytest.fixture
def worker(orders: OrderStore, tier: Tier, monkeypatch: pytest.MonkeyPatch) -> Worker:
    monkeypatch.setattr(pairing, "PAIRING_INTERVAL_S", 0.0)
    return Worker(orders, tier)


@pytest.fixture
def another(tmp_path: Path) -> Iterator[CatalogStore]:
    """The catalog of another store, with the same products."""
    store = CatalogStore(tmp_path / "another" / "catalog.db")
    store.migrate()
    store.load([Product("Tux", 2_599, 80)])
    yield store
    store.close()


def copy_catalog(tmp_path: Path) -> Path:
    """Copies the catalog as it is now. Returns the path of the copy, which is an older state after the next sale."""
    copy = tmp_path / "old" / "catalog.db"
    copy.parent.mkdir()
    query(tmp_path / "catalog.db", f"VACUUM INTO '{copy}'")
    return copy


def intents(tmp_path: Path) -> list[str]:
    """Returns the keys of the buys in doubt, the oldest first."""
    return [key for (key,) in query(tmp_path / "order.db", "SELECT key FROM intents ORDER BY begun")]


def test_a_new_log_adopts_its_catalogs_id_before_its_first_sale(worker: Worker, tmp_path: Path) -> None:
    assert store_id(tmp_path / "order.db") is None
    assert worker.place(Buy("k", "Tux", 1)) == 0
    assert store_id(tmp_path / "order.db") == store_id(tmp_path / "catalog.db") is not None


def test_a_log_is_paired_with_its_catalog_once(worker: Worker, tier: Tier) -> None:
    for number in range(5):
        worker.place(Buy(f"k{number}", "Tux", 1))
    assert tier.introductions == 1


def test_a_buy_that_begins_without_the_catalog_is_settled_later(worker: Worker, tier: Tier, tmp_path: Path) -> None:
    catalog, tier.store = tier.store, None
    with pytest.raises(Unavailable):
        worker.place(Buy("k", "Tux", 1))
    assert intents(tmp_path) == ["k"]
    tier.store = catalog
    worker.settle()
    assert worker.place(Buy("k", "Tux", 1)) == 0


def test_another_catalog_sells_nothing_and_no_buy_begins(
    worker: Worker,
    tier: Tier,
    another: CatalogStore,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    worker.place(Buy("k0", "Tux", 1))
    own, tier.store = tier.store, another
    for number in range(5):
        with pytest.raises(Unavailable):
            worker.place(Buy(f"lost{number}", "Tux", 1))
    assert intents(tmp_path) == ["lost0"], "the first buy began before the catalog was known to be another"
    with pytest.raises(Unavailable):
        worker.settle()
    assert another.product("Tux").quantity == 80
    tier.store = own
    assert worker.place(Buy("k1", "Tux", 1)) == 1
    worker.settle()
    assert intents(tmp_path) == []
    begun, ended = caplog.messages
    assert "not the one of this order log: it is of store" in begun and "again" in ended


def test_a_catalog_of_an_older_state_sells_nothing(
    worker: Worker, tier: Tier, catalog: CatalogStore, tmp_path: Path
) -> None:
    worker.place(Buy("k0", "Tux", 1))
    copy = copy_catalog(tmp_path)
    worker.place(Buy("k1", "Tux", 1))
    tier.store = CatalogStore(copy)
    with pytest.raises(Unavailable):
        worker.place(Buy("k2", "Tux", 1))
    assert tier.store.product("Tux").quantity == 79
    tier.store.close()


def test_a_repeated_key_does_not_become_the_last_order(worker: Worker, tier: Tier, tmp_path: Path) -> None:
    worker.place(Buy("k0", "Tux", 1))
    copy = copy_catalog(tmp_path)
    worker.place(Buy("k1", "Tux", 1))
    assert worker.place(Buy("k0", "Tux", 1)) == 0
    tier.store = CatalogStore(copy)
    with pytest.raises(Unavailable):
        worker.place(Buy("k2", "Tux", 1))
    assert tier.store.product("Tux").quantity == 79
    tier.store.close()


def test_a_call_names_the_last_order_of_any_worker(
    worker: Worker, tier: Tier, catalog: CatalogStore, tmp_path: Path
) -> None:
    worker.place(Buy("k0", "Tux", 1))
    copy = copy_catalog(tmp_path)
    other_worker = OrderStore(tmp_path / "order.db")
    Worker(other_worker, tier).place(Buy("k1", "Tux", 1))
    other_worker.close()
    tier.store = CatalogStore(copy)
    with pytest.raises(Unavailable):
        worker.place(Buy("k2", "Tux", 1))
    assert tier.store.product("Tux").quantity == 79
    tier.store.close()


def test_a_log_that_lacks_a_sale_takes_no_id(
    orders: OrderStore, tier: Tier, catalog: CatalogStore, worker: Worker, tmp_path: Path
) -> None:
    catalog.sell([Buy("of a lost log", "Tux", 1)])
    with pytest.raises(Unavailable):
        worker.place(Buy("k", "Tux", 1))
    assert intents(tmp_path) == [] and orders.mark() is None


def test_a_log_may_lack_direct_decrements(worker: Worker, catalog: CatalogStore) -> None:
    catalog.decrement(Buy("direct", "Tux", 1))
    with pytest.raises(ProductNotFound):
        catalog.decrement(Buy("refused", "Unicorn", 1))
    assert worker.place(Buy("k", "Tux", 1)) == 0


def test_another_catalog_is_asked_once_for_many_buys(orders: OrderStore, another: CatalogStore, tier: Tier) -> None:
    orders.pair(another.introduce(None))
    worker = Worker(orders, tier)
    for number in range(20):
        with pytest.raises(Unavailable):
            worker.place(Buy(f"k{number}", "Tux", 1))
    assert tier.introductions == 1


def test_two_workers_with_two_catalogs_adopt_one_store_id(
    tmp_path: Path, orders: OrderStore, catalog: CatalogStore, another: CatalogStore
) -> None:
    first, second = catalog.introduce(None), another.introduce(None)
    assert orders.pair(first) is None
    other_worker = OrderStore(tmp_path / "order.db")
    why = other_worker.pair(second)
    other_worker.close()
    assert why is not None and "is of store" in why
    assert store_id(tmp_path / "order.db") == first.id


def test_the_catalog_tier_returns_its_store_id(catalog: CatalogStore, tmp_path: Path) -> None:
    client = Client(CatalogApp(catalog))
    catalog.sell([Buy("k", "Tux", 1)])
    for key, is_sold in (("k", True), ("unknown", False)):
        answer = client.get("/v1/store", headers={"Last-Order": key})
        assert answer.json == {
            "data": {"id": store_id(tmp_path / "catalog.db"), "newest_sold": ["k"], "has_last_order": is_sold}
        }
    assert client.get("/v1/store", headers={"Last-Order": "two, keys"}).status_code == 400


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Store-Id": "own"}, 200),
        ({"Store-Id": "own", "Last-Order": "k"}, 200),
        ({"Store-Id": "own", "Last-Order": "unknown"}, 409),
        ({"Store-Id": "0" * 32}, 409),
        ({"Store-Id": "own", "Last-Order": "two, keys"}, 400),
    ],
)
def test_the_catalog_tier_sells_only_to_its_own_log(
    catalog: CatalogStore, tmp_path: Path, headers: dict[str, str], status: int
) -> None:
    catalog.sell([Buy("k", "Tux", 1)])
    own = store_id(tmp_path / "catalog.db")
    headers = {name: own if value == "own" and own else value for name, value in headers.items()}
    sale = [["new", "Tux", 1]]
    assert Client(CatalogApp(catalog)).post("/v1/sales", json=sale, headers=headers).status_code == status
    assert catalog.product("Tux").quantity == (78 if status == 200 else 79)


def test_a_catalog_raises_another_store_and_sells_nothing(catalog: CatalogStore) -> None:
    with pytest.raises(AnotherStore):
        catalog.sell([Buy("k", "Tux", 1)], log=LogMark("0" * 32, None))
    assert catalog.product("Tux").quantity == 80


@pytest.mark.parametrize(
    "key", ["by hand 1", "by hand, 2", "Bär", "100%25", "%41", "\U0001f427" * 128, "a\nb", "x" * 128]
)
def test_a_header_carries_any_key_of_the_last_order(catalog: CatalogStore, key: str) -> None:
    catalog.sell([Buy(key, "Tux", 1)])
    client, last = Client(CatalogApp(catalog)), last_order_headers(key)
    response: Any = client.get("/v1/store", headers=last).json
    introduction = decode_introduction(response["data"])
    assert introduction == catalog.introduce(key) and introduction.has_last_order
    assert introduction.id is not None
    sale, mark = [["new", "Tux", 1]], mark_headers(LogMark(introduction.id, key))
    assert client.post("/v1/sales", json=sale, headers=mark).status_code == 200


def test_a_header_carries_a_shoppers_key_unescaped() -> None:
    key = "".join(map(chr, range(0x21, 0x7F))).replace(",", "").replace("%", "")
    assert last_order_headers(key) == {"Last-Order": key}
