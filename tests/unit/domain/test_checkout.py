from collections.abc import Sequence
from pathlib import Path

import pytest

from db.catalog import CatalogStore
from db.order import OrderStore
from domain.checkout import Checkout
from domain.errors import KeyReused, OutOfStock, ProductNotFound, Unavailable
from domain.limits import MAX_BATCH
from domain.protocols import Sale
from domain.values import Buy, Product
from tests.support.books import Books
from tests.support.history import History
from tests.support.steps import begin


class Flaky:
    """A catalog whose answers get lost, before or after it sold."""

    def __init__(self, catalog: CatalogStore, *, lost: str) -> None:
        self._catalog = catalog
        self._lost = lost

    def product(self, name: str) -> Product:
        return self._catalog.product(name)

    def products(self, *, q: str, after: str, limit: int) -> bytes:
        return self._catalog.products(q=q, after=after, limit=limit)

    def sell(self, buys: Sequence[Buy], timeout_s: float | None = None) -> list[Sale]:
        if self._lost == "reply":
            self._catalog.sell(buys)
        raise Unavailable


def test_a_buy_gets_a_number(checkout: Checkout, catalog: CatalogStore) -> None:
    assert [checkout.place(Buy(key, "Tux", 2)) for key in "abab"] == [0, 1, 0, 1]
    assert catalog.product("Tux").quantity == 76


def test_a_no_is_raised_each_time(checkout: Checkout) -> None:
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
        Checkout(orders, Flaky(catalog, lost=lost)).place(buy)
    assert catalog.product("Tux").quantity == left
    assert orders.intents(10) == [buy]
    checkout = Checkout(orders, catalog)
    assert checkout.place(buy) == 0
    assert catalog.product("Tux").quantity == 78
    assert orders.intents(10) == []


@pytest.mark.parametrize("lost", ["request", "reply"])
def test_buys_in_doubt_are_settled(orders: OrderStore, catalog: CatalogStore, lost: str) -> None:
    flaky = Checkout(orders, Flaky(catalog, lost=lost))
    buys = [Buy(f"k{number}", "Tux", 1 if number % 4 == 0 else 81) for number in range(2 * MAX_BATCH + 4)]
    for buy in buys:
        with pytest.raises(Unavailable):
            flaky.place(buy)
    checkout = Checkout(orders, catalog)
    checkout.settle(checkout.intents(1_000))
    assert orders.intents(1) == []
    assert catalog.product("Tux").quantity == 80 - len(buys) // 4


def test_what_was_settled_before_a_fault_stays_settled(orders: OrderStore, catalog: CatalogStore) -> None:
    class FailsAtTheSecondCall(Flaky):
        calls = 0

        def sell(self, buys: Sequence[Buy], timeout_s: float | None = None) -> list[Sale]:
            self.calls += 1
            return catalog.sell(buys) if self.calls == 1 else super().sell(buys)

    buys = [Buy(f"k{number}", "Tux", 1) for number in range(MAX_BATCH + 5)]
    begin(orders, buys)
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


class Poisoned:
    """A catalog that fails every call with one of these keys in it, without a word about when to come again."""

    def __init__(self, catalog: CatalogStore, *keys: str, error: Exception | None = None) -> None:
        self._catalog = catalog
        self._keys = keys
        self._error = error or Unavailable()

    def sell(self, buys: Sequence[Buy], timeout_s: float | None = None) -> list[Sale]:
        if any(buy.key in self._keys for buy in buys):
            raise self._error
        return self._catalog.sell(buys)


@pytest.mark.parametrize("error", [Unavailable(), ValueError("no such price")])
def test_a_buy_that_the_catalog_cannot_answer_keeps_no_other_in_doubt(
    orders: OrderStore, catalog: CatalogStore, error: Exception
) -> None:
    buys = [Buy(f"k{number}", "Bird", 1) for number in range(90)] + [
        Buy(f"u{number}", "Nix", 1) for number in range(90)
    ]
    begin(orders, buys)
    with pytest.raises(type(error)):
        Checkout(orders, Poisoned(catalog, "k7", "u40", error=error)).settle(buys)
    assert {buy.key for buy in orders.intents(1_000)} == {"k7", "u40"}
    Checkout(orders, catalog).settle(orders.intents(1_000))
    assert orders.intents(1) == []


def test_a_buy_that_the_catalog_cannot_answer_is_alone_without_an_answer(
    orders: OrderStore, catalog: CatalogStore, tmp_path: Path
) -> None:
    buys = [Buy(f"k{number}", "Tux", 1) for number in range(20)]
    checkout = Checkout(orders, Poisoned(catalog, "k5"))
    assert checkout.place_all(buys, timeout_s=10.0) == [*range(5), Unavailable(), *range(5, 19)]
    assert orders.intents(10) == [buys[5]]
    with pytest.raises(Unavailable):
        checkout.place(buys[5])
    assert Checkout(orders, catalog).place(buys[5]) == 19
    Books.read(tmp_path).check()


def test_one_maybe_among_the_answers_stays_in_doubt_alone(orders: OrderStore, catalog: CatalogStore) -> None:
    class OneMaybe:
        def sell(self, buys: Sequence[Buy], timeout_s: float | None = None) -> list[Sale | Unavailable]:
            return [Unavailable() if buy.key == "b" else catalog.sell([buy])[0] for buy in buys]

    buys = [Buy(key, "Tux", 1) for key in "abc"]
    checkout = Checkout(orders, OneMaybe())
    assert checkout.place_all(buys) == [0, Unavailable(), 1]
    assert orders.intents(10) == [buys[1]]
    with pytest.raises(Unavailable):
        checkout.settle([buys[1]])
    assert orders.intents(10) == [buys[1]]
