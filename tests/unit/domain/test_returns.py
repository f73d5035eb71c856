"""The returns: their contract, lost answers, and returns in doubt."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from db.sqlite.catalog import CatalogStore
from db.sqlite.order import OrderStore
from domain.checkout import Checkout
from domain.errors import Invalid, KeyReused, Unavailable
from domain.limits import MAX_RETURNS
from domain.pairing import LogMark
from domain.protocols import Catalog
from domain.returns import Return, Returned, Returns, SaleReturn, TakeBack
from domain.values import Buy
from tests.contracts.returns import OwnerReturnsContract
from tests.support.books import Books, assert_audit_is_clean
from tests.support.catalog_proxy import CatalogProxy


class TestReturns(OwnerReturnsContract):
    """Returns over both databases fulfil the contract."""


class LossyCatalog(CatalogProxy):
    """A catalog that loses the calls with one of these keys: the request, or the reply after the pieces are back."""

    def __init__(self, catalog: Catalog, *keys: str, lost: str = "reply", error: Exception | None = None) -> None:
        super().__init__(catalog)
        self._keys = keys
        self._lost = lost
        self._error = error or Unavailable()

    def take_back(
        self, returns: Sequence[SaleReturn], timeout_s: float | None = None, *, log: LogMark | None = None
    ) -> Sequence[TakeBack | Unavailable]:
        if not any(one.key in self._keys for one in returns):
            return super().take_back(returns)
        if self._lost == "reply":
            super().take_back(returns)
        raise self._error


@pytest.mark.parametrize(("lost", "stock"), [("request", 75), ("reply", 77)])
@pytest.mark.parametrize("quantity", [2, None])
def test_a_lost_answer_leaves_the_return_in_doubt(
    orders: OrderStore, catalog: CatalogStore, checkout: Checkout, lost: str, stock: int, quantity: int | None
) -> None:
    checkout.place(Buy("k", "Tux", 5))
    if quantity is None:
        Returns(orders, catalog).give_back(Return("before", 0, 3))
        stock += 3
    asked = Return("r", 0, quantity)
    with pytest.raises(Unavailable):
        Returns(orders, LossyCatalog(catalog, "r", lost=lost)).give_back(asked)
    assert catalog.product("Tux").quantity == stock
    assert orders.return_intents(10) == [SaleReturn("r", "k", "Tux", 2)]
    returns = Returns(orders, catalog)
    returned = returns.give_back(asked)
    assert returned.quantity == 2
    assert returns.give_back(asked) == returned
    assert catalog.product("Tux").quantity == (80 if quantity is None else 77)
    assert returns.intents(10) == []


@pytest.mark.parametrize("lost", ["request", "reply"])
def test_returns_in_doubt_are_settled(orders: OrderStore, catalog: CatalogStore, tmp_path: Path, lost: str) -> None:
    Checkout(orders, catalog).place(Buy("k", "Tux", 60))
    keys = [f"r{number}" for number in range(2 * MAX_RETURNS + 4)]
    lossy = Returns(orders, LossyCatalog(catalog, *keys, lost=lost))
    for key in keys:
        with pytest.raises(Unavailable):
            lossy.give_back(Return(key, 0, 1))
    returns = Returns(orders, catalog)
    returns.settle(returns.intents(1_000))
    assert returns.intents(1) == []
    assert catalog.product("Tux").quantity == 20 + len(keys)
    Books.read(tmp_path).check()
    assert_audit_is_clean(tmp_path)


@pytest.mark.parametrize("error", [Unavailable(), ValueError("no such sale")])
def test_a_return_that_the_catalog_cannot_answer_keeps_no_other_in_doubt(
    orders: OrderStore, catalog: CatalogStore, checkout: Checkout, error: Exception
) -> None:
    checkout.place(Buy("k", "Tux", 60))
    asked = [Return(f"r{number}", 0, 1) for number in range(MAX_RETURNS + 9)]
    orders.begin_returns(asked)
    poisoned = LossyCatalog(catalog, "r7", "r20", lost="request", error=error)
    with pytest.raises(type(error)):
        Returns(orders, poisoned).settle(orders.return_intents(100))
    assert {one.key for one in orders.return_intents(100)} == {"r7", "r20"}


def test_only_the_return_that_the_catalog_cannot_answer_has_no_answer(
    orders: OrderStore, catalog: CatalogStore, checkout: Checkout, tmp_path: Path
) -> None:
    checkout.place(Buy("k", "Tux", 5))
    asked = [Return("a", 0, 1), Return("b", 0, 1), Return("a", 0, 1), Return("c", 0, 9)]
    first, lost, again, beyond = Returns(orders, LossyCatalog(catalog, "b")).give_back_all(asked, timeout_s=60.0)
    assert isinstance(first, Returned) and again == first
    assert isinstance(lost, Unavailable) and isinstance(beyond, Invalid)
    assert [one.key for one in orders.return_intents(10)] == ["b"]
    Returns(orders, catalog).settle(orders.return_intents(10))
    Books.read(tmp_path).check()


def test_a_return_that_the_catalog_refuses_ends(
    orders: OrderStore, catalog: CatalogStore, checkout: Checkout, tmp_path: Path
) -> None:
    checkout.place(Buy("k", "Tux", 5))
    catalog.decrement(Buy("r", "Tux", 1))
    returns = Returns(orders, catalog)
    with pytest.raises(KeyReused):
        returns.give_back(Return("r", 0, 1))
    assert returns.intents(10) == []
    assert returns.give_back(Return("s", 0)).quantity == 5
    Books.read(tmp_path).check()


def test_no_piece_is_asked_for_that_has_no_intent(
    orders: OrderStore, catalog: CatalogStore, checkout: Checkout
) -> None:
    checkout.place(Buy("k", "Tux", 5))

    class Watched(CatalogProxy):
        def take_back(
            self, returns: Sequence[SaleReturn], timeout_s: float | None = None, *, log: LogMark | None = None
        ) -> Sequence[TakeBack | Unavailable]:
            assert orders.return_intents(10) == list(returns)
            return super().take_back(returns)

    assert Returns(orders, Watched(catalog)).give_back(Return("r", 0)).returned == 5
