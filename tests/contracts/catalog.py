"""Tests that every implementation of the protocol Catalog must pass."""

import json
from collections.abc import Callable
from contextlib import suppress

import pytest

from domain.errors import AnotherStore, KeyReused, OutOfStock, ProductNotFound, Unavailable
from domain.pairing import LogMark
from domain.protocols import Catalog, Sale
from domain.values import Buy, Product, Sold
from tests.support.at_once import THREADS, at_once

TUX, BIRD = Product("Tux", 2599, 80), Product("Bird", 3999, 98)


def retried(sell: Callable[[], Sale | Unavailable]) -> Sale:
    """Repeats the sale while it is Unavailable, as the tiers do."""
    while True:
        with suppress(Unavailable):
            sale = sell()
            if not isinstance(sale, Unavailable):
                return sale


class CatalogContract:
    """A catalog sells each key once, and no more pieces than there are."""

    @pytest.fixture
    def subject(self, catalog: Catalog) -> Catalog:
        """The catalog under test: Tux 25.99 80, Whale 34.99 94, Elephant 29.99 87, Bird 39.99 98, none sold yet."""
        return catalog

    def stock(self, subject: Catalog, name: str) -> int:
        [found] = subject.lookup([name])
        assert isinstance(found, Product)
        return found.quantity

    def test_products_are_looked_up_in_the_order_of_the_names(self, subject: Catalog) -> None:
        assert subject.lookup(["Tux", "Nix", "Bird", "Tux"]) == [TUX, ProductNotFound(), BIRD, TUX]
        assert subject.lookup([]) == []

    def test_a_lookup_distinguishes_upper_and_lower_case(self, subject: Catalog) -> None:
        assert subject.lookup(["tux"]) == [ProductNotFound()]

    def test_a_page_has_the_products_by_name_and_says_where_the_next_begins(self, subject: Catalog) -> None:
        first, last = (json.loads(subject.products(q="", after=after, limit=2)) for after in ("", "Elephant"))
        assert [product["name"] for product in first["data"]] == ["Bird", "Elephant"]
        assert first["data"][0] == {"name": "Bird", "price": 39.99, "quantity": 98}
        assert first["next"] == "Elephant"
        assert [product["name"] for product in last["data"]] == ["Tux", "Whale"]
        assert last["next"] is None

    def test_a_search_finds_part_of_a_name_in_any_case(self, subject: Catalog) -> None:
        page = json.loads(subject.products(q="E", after="", limit=10))
        assert [product["name"] for product in page["data"]] == ["Elephant", "Whale"]

    def test_a_sale_takes_the_pieces_at_the_price(self, subject: Catalog) -> None:
        assert subject.sell([Buy("k", "Tux", 3)]) == [Sold(2599)]
        assert self.stock(subject, "Tux") == 77

    def test_a_key_is_sold_once(self, subject: Catalog) -> None:
        buy = Buy("k", "Tux", 3)
        assert subject.sell([buy, buy]) == subject.sell([buy, buy]) == [Sold(2599), Sold(2599)]
        assert self.stock(subject, "Tux") == 77

    @pytest.mark.parametrize("other", [Buy("k", "Tux", 4), Buy("k", "Whale", 3)])
    def test_a_key_stands_for_one_product_and_quantity(self, subject: Catalog, other: Buy) -> None:
        subject.sell([Buy("k", "Tux", 3)])
        assert subject.sell([other]) == [KeyReused()]
        assert (self.stock(subject, "Tux"), self.stock(subject, "Whale")) == (77, 94)

    def test_a_refused_key_is_refused_each_time(self, subject: Catalog) -> None:
        for _ in range(2):
            assert subject.sell([Buy("k", "Tux", 81), Buy("l", "Nix", 1)]) == [OutOfStock(), ProductNotFound()]
        assert subject.sell([Buy("k", "Tux", 80)]) == [KeyReused()]

    def test_the_last_piece_is_sold_and_no_more(self, subject: Catalog) -> None:
        assert subject.sell([Buy("k", "Tux", 80), Buy("l", "Tux", 1)]) == [Sold(2599), OutOfStock()]
        assert self.stock(subject, "Tux") == 0

    def test_one_error_in_a_batch_does_not_touch_the_others(self, subject: Catalog) -> None:
        sales = subject.sell([Buy("a", "Tux", 1), Buy("b", "Nix", 1), Buy("a", "Tux", 2), Buy("c", "Bird", 1)])
        assert sales == [Sold(2599), ProductNotFound(), KeyReused(), Sold(3999)]

    def test_a_decrement_takes_the_pieces_once_for_its_key(self, subject: Catalog) -> None:
        for _ in range(2):
            subject.decrement(Buy("k", "Tux", 3))
        assert self.stock(subject, "Tux") == 77

    def test_a_decrement_raises_its_error(self, subject: Catalog) -> None:
        with pytest.raises(OutOfStock):
            subject.decrement(Buy("a", "Tux", 81))
        with pytest.raises(ProductNotFound):
            subject.decrement(Buy("b", "Gr\u00fc\u00dfe & 100%?#", 1))
        subject.decrement(Buy("c", "Tux", 1))
        with pytest.raises(KeyReused):
            subject.decrement(Buy("c", "Tux", 2))

    def test_a_key_is_for_a_sale_or_a_decrement_and_never_for_both(self, subject: Catalog) -> None:
        """Otherwise one decrement would become an order too."""
        subject.decrement(Buy("k", "Tux", 1))
        assert subject.sell([Buy("k", "Tux", 1)]) == [KeyReused()]
        subject.sell([Buy("l", "Tux", 1)])
        with pytest.raises(KeyReused):
            subject.decrement(Buy("l", "Tux", 1))
        assert self.stock(subject, "Tux") == 78

    def test_an_introduction_names_the_store_and_its_newest_sales(self, subject: Catalog) -> None:
        subject.sell([Buy("a", "Tux", 1), Buy("b", "Tux", 1), Buy("refused", "Nix", 1)])
        subject.decrement(Buy("direct", "Tux", 1))
        introduction = subject.introduce("a")
        assert introduction.id
        assert introduction.newest_sold[:2] == ("b", "a")
        assert introduction.has_last_order
        assert not subject.introduce("of another store").has_last_order

    def test_nothing_is_sold_to_the_log_of_another_store(self, subject: Catalog) -> None:
        with pytest.raises((AnotherStore, Unavailable)):
            subject.sell([Buy("k", "Tux", 1)], log=LogMark("0" * 32, None))
        assert self.stock(subject, "Tux") == 80

    def test_nothing_is_sold_to_a_log_that_has_orders_this_catalog_has_not_sold(self, subject: Catalog) -> None:
        store = subject.introduce(None).id
        assert store
        with pytest.raises((AnotherStore, Unavailable)):
            subject.sell([Buy("k", "Tux", 1)], log=LogMark(store, "not sold here"))
        assert self.stock(subject, "Tux") == 80

    def test_the_log_of_its_own_store_is_sold_to(self, subject: Catalog) -> None:
        store = subject.introduce(None).id
        assert store
        assert subject.sell([Buy("k", "Tux", 1)], log=LogMark(store, None)) == [Sold(2599)]
        assert subject.sell([Buy("l", "Tux", 1)], log=LogMark(store, "k")) == [Sold(2599)]

    def test_one_key_from_many_threads_is_sold_once(self, subject: Catalog) -> None:
        sales = at_once(lambda _: retried(lambda: subject.sell([Buy("k", "Tux", 3)])[0]))
        assert sales == [Sold(2599)] * THREADS
        assert self.stock(subject, "Tux") == 77

    def test_no_more_threads_buy_than_there_are_pieces(self, subject: Catalog) -> None:
        subject.sell([Buy("most", "Tux", 78)])
        sales = at_once(lambda number: retried(lambda: subject.sell([Buy(f"k{number}", "Tux", 1)])[0]))
        assert (sales.count(Sold(2599)), sales.count(OutOfStock())) == (2, THREADS - 2)
        assert self.stock(subject, "Tux") == 0
