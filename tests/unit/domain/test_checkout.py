"""The checkout: the contract of orders, lost answers, and buys in doubt."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from db.sqlite.catalog import CatalogStore
from db.sqlite.order import OrderStore
from domain.checkout import Checkout
from domain.errors import KeyReused, OutOfStock, ProductNotFound, Unavailable
from domain.limits import MAX_BATCH
from domain.pairing import LogMark
from domain.protocols import Catalog, Sale
from domain.values import Buy, Sold
from tests.contracts.orders import OrdersContract
from tests.support.books import Books
from tests.support.catalog_proxy import CatalogProxy
from tests.support.history import History


class TestCheckout(OrdersContract):
    """A checkout fulfils the contract of orders."""


class LossyCatalog(CatalogProxy):
    """A catalog that loses each call for sales: the request, or the reply after the sale."""

    def __init__(self, catalog: Catalog, *, lost: str) -> None:
        super().__init__(catalog)
        self._lost = lost

    def sell(
        self, buys: Sequence[Buy], timeout_s: float | None = None, *, log: LogMark | None = None
    ) -> Sequence[Sale | Unavailable]:
        if self._lost == "reply":
            super().sell(buys)
        raise Unavailable


def test_a_buy_gets_a_number(checkout: Checkout, catalog: CatalogStore) -> None:
    assert [checkout.place(Buy(key, "Tux", 2)) for key in "abab"] == [0, 1, 0, 1]
    assert catalog.product("Tux").quantity == 76


def test_a_single_buy_raises_its_error_each_time(checkout: Checkout) -> None:
    for _ in range(2):
        with pytest.raises(OutOfStock):
            checkout.place(Buy("a", "Tux", 81))
        with pytest.raises(ProductNotFound):
            checkout.place(Buy("b", "Unicorn", 1))
    with pytest.raises(KeyReused):
        checkout.place(Buy("a", "Tux", 1))


@pytest.mark.parametrize(("lost", "left"), [("request", 80), ("reply", 78)])
def test_a_lost_answer_is_no_refusal(orders: OrderStore, catalog: CatalogStore, lost: str, left: int) -> None:
    buy = Buy("a", "Tux", 2)
    with pytest.raises(Unavailable):
        Checkout(orders, LossyCatalog(catalog, lost=lost)).place(buy)
    assert catalog.product("Tux").quantity == left
    assert orders.intents(10) == [buy]
    checkout = Checkout(orders, catalog)
    assert checkout.place(buy) == 0
    assert catalog.product("Tux").quantity == 78
    assert orders.intents(10) == []


@pytest.mark.parametrize("lost", ["request", "reply"])
def test_buys_in_doubt_are_settled(orders: OrderStore, catalog: CatalogStore, lost: str) -> None:
    lossy = Checkout(orders, LossyCatalog(catalog, lost=lost))
    buys = [Buy(f"k{number}", "Tux", 1 if number % 4 == 0 else 81) for number in range(2 * MAX_BATCH + 4)]
    for buy in buys:
        with pytest.raises(Unavailable):
            lossy.place(buy)
    checkout = Checkout(orders, catalog)
    checkout.settle(checkout.intents(1_000))
    assert orders.intents(1) == []
    assert catalog.product("Tux").quantity == 80 - len(buys) // 4


def test_buys_that_were_settled_before_a_failure_stay_settled(orders: OrderStore, catalog: CatalogStore) -> None:
    class FailsAtTheSecondCall(LossyCatalog):
        calls = 0

        def sell(
            self, buys: Sequence[Buy], timeout_s: float | None = None, *, log: LogMark | None = None
        ) -> Sequence[Sale | Unavailable]:
            self.calls += 1
            return catalog.sell(buys) if self.calls == 1 else super().sell(buys)

    buys = [Buy(f"k{number}", "Tux", 1) for number in range(MAX_BATCH + 5)]
    orders.begin(buys)
    with pytest.raises(Unavailable):
        Checkout(orders, FailsAtTheSecondCall(catalog, lost="reply")).settle(buys)
    assert orders.intents(1_000) == buys[MAX_BATCH:]


def test_the_books_balance_after_sold_refused_and_repeated_buys(checkout: Checkout, tmp_path: Path) -> None:
    history = History()
    for number in range(200):
        history.buy(checkout, Buy(f"k{number // 2}", "Tux" if number // 2 % 3 else "Nix", 1 + number // 2 % 5))
    books = Books.read(tmp_path)
    history.check(books)
    assert set(books.refused.values()) == {"out of stock", "product not found"}


class PoisonedCatalog(CatalogProxy):
    """A catalog that fails each call with one of these keys in it. Its error has no Retry-After."""

    def __init__(self, catalog: Catalog, *keys: str, error: Exception | None = None) -> None:
        super().__init__(catalog)
        self._keys = keys
        self._error = error or Unavailable()

    def sell(
        self, buys: Sequence[Buy], timeout_s: float | None = None, *, log: LogMark | None = None
    ) -> Sequence[Sale | Unavailable]:
        if any(buy.key in self._keys for buy in buys):
            raise self._error
        return super().sell(buys)


@pytest.mark.parametrize("error", [Unavailable(), ValueError("no such price")])
def test_a_buy_that_the_catalog_cannot_answer_keeps_no_other_in_doubt(
    orders: OrderStore, catalog: CatalogStore, error: Exception
) -> None:
    buys = [Buy(f"k{number}", "Bird", 1) for number in range(90)] + [
        Buy(f"u{number}", "Nix", 1) for number in range(90)
    ]
    orders.begin(buys)
    with pytest.raises(type(error)):
        Checkout(orders, PoisonedCatalog(catalog, "k7", "u40", error=error)).settle(buys)
    assert {buy.key for buy in orders.intents(1_000)} == {"k7", "u40"}
    Checkout(orders, catalog).settle(orders.intents(1_000))
    assert orders.intents(1) == []


def test_only_the_buy_that_the_catalog_cannot_answer_has_no_answer(
    orders: OrderStore, catalog: CatalogStore, tmp_path: Path
) -> None:
    buys = [Buy(f"k{number}", "Tux", 1) for number in range(20)]
    checkout = Checkout(orders, PoisonedCatalog(catalog, "k5"))
    assert checkout.place_all(buys, timeout_s=10.0) == [*range(5), Unavailable(), *range(5, 19)]
    assert orders.intents(10) == [buys[5]]
    with pytest.raises(Unavailable):
        checkout.place(buys[5])
    assert Checkout(orders, catalog).place(buys[5]) == 19
    Books.read(tmp_path).check()


def test_a_sale_without_an_answer_leaves_only_its_buy_in_doubt(orders: OrderStore, catalog: CatalogStore) -> None:
    class OneUnanswered(CatalogProxy):
        def sell(
            self, buys: Sequence[Buy], timeout_s: float | None = None, *, log: LogMark | None = None
        ) -> Sequence[Sale | Unavailable]:
            return [Unavailable() if buy.key == "b" else catalog.sell([buy])[0] for buy in buys]

    buys = [Buy(key, "Tux", 1) for key in "abc"]
    checkout = Checkout(orders, OneUnanswered(catalog))
    assert checkout.place_all(buys) == [0, Unavailable(), 1]
    assert orders.intents(10) == [buys[1]]
    with pytest.raises(Unavailable):
        checkout.settle([buys[1]])
    assert orders.intents(10) == [buys[1]]


def test_on_finished_gets_the_sales_once_they_are_logged(orders: OrderStore, catalog: CatalogStore) -> None:
    finished: list[tuple[Buy, Sale]] = []

    def record(sales: Sequence[tuple[Buy, Sale]]) -> None:
        assert orders.intents(10) == []
        finished.extend(sales)

    checkout = Checkout(orders, catalog, on_finished=record)
    buys = [Buy("a", "Tux", 1), Buy("b", "Nix", 1), Buy("c", "Bird", 1)]
    checkout.place_all(buys[:2])
    checkout.place_all(buys[:1])
    orders.begin(buys[2:])
    checkout.settle(buys[2:])
    assert finished == list(zip(buys, [Sold(2599), ProductNotFound(), Sold(3999)], strict=True))
