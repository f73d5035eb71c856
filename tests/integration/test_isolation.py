"""Buys in doubt that the catalog refuses to read, such as those of an older release with other rules for names."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from db.sqlite.catalog import CatalogStore
from db.sqlite.order import OrderStore
from domain.errors import Unavailable
from domain.limited_checkout import LimitedCheckout
from domain.values import Buy
from tests.support.books import Books
from tests.support.buying import never_limited
from tests.support.stub_server import answer_from, tier
from wsgi_apps.catalog import CatalogApp
from wsgi_apps.clients import HttpCatalog
from wsgi_apps.recovery import Recovery

UNREADABLE = Buy("unreadable", "a\nb", 1)


@pytest.fixture
def checkout(orders: OrderStore, catalog: CatalogStore) -> Iterator[LimitedCheckout]:
    """A checkout whose catalog is reached over HTTP."""
    with tier(answer_from(CatalogApp(catalog)), deadline_s=10.0) as client:
        yield never_limited(orders, HttpCatalog(client))


def test_an_unreadable_buy_in_doubt_stays_and_all_others_are_settled(
    checkout: LimitedCheckout, orders: OrderStore, tmp_path: Path
) -> None:
    buys = [Buy(f"k{number}", "Bird", 1) for number in range(30)]
    orders.begin([*buys[:10], UNREADABLE, *buys[10:]])
    recovery = Recovery(checkout)
    for now in (0.0, 4.0):
        with suppress(Unavailable):
            recovery.sweep(now)
    assert orders.intents(100) == [UNREADABLE]
    assert {key for _, key, _, _ in Books.read(tmp_path).orders} == {buy.key for buy in buys}


def test_an_unreadable_buy_leaves_the_other_buys_of_its_batch_their_answers(
    checkout: LimitedCheckout, orders: OrderStore
) -> None:
    answers = checkout.place_all([Buy("a", "Tux", 1), UNREADABLE, Buy("b", "Nix", 1)], timeout_s=10.0)
    assert answers[0] == 0
    assert [type(answer).__name__ for answer in answers[1:]] == ["Unavailable", "ProductNotFound"]
    assert orders.intents(10) == [UNREADABLE]
