"""Tests that every implementation of the protocol OrderBooks must pass."""

from collections.abc import Callable
from contextlib import suppress

import pytest

from db.sqlite.order import OrderStore
from domain.checkout import Checkout
from domain.errors import Refused
from domain.owner import REFUSED_NUMBER, LoggedBuy, OrderBooks, Selection, Takings
from domain.returns import Return, Returned, Returns
from domain.values import Buy
from tests.support.owner_log import all_pages, keys_on

# A log of two days. Of each buy: its key, what was bought, and when it ended.
HISTORY = [
    ("a", "Tux", 2, "2026-11-27T08:00:00.000Z"),
    ("b", "Bird", 1, "2026-11-27T09:00:00.000Z"),
    ("no1", "Nix", 1, "2026-11-27T10:00:00.000Z"),
    ("c", "Tux", 3, "2026-11-28T00:00:00.000Z"),
    ("no2", "Tux", 1_000, "2026-11-28T11:00:00.000Z"),
    ("d", "Bird", 2, "2026-11-28T12:00:00.000Z"),
]


class OrderBooksContract:
    """The owner reads the order log, newest first, and what it earned."""

    @pytest.fixture
    def history(self, checkout: Checkout, forge_log: Callable[[str], None]) -> None:
        """The log of HISTORY. Its times are set by hand, for the store knows only now."""
        for key, product, quantity, _ in HISTORY:
            with suppress(Refused):
                checkout.place(Buy(key, product, quantity))
        times = ",".join(f"('{key}', '{time}')" for key, _, _, time in HISTORY)
        in_both = (
            f"UPDATE {table} SET time = (SELECT column2 FROM (VALUES {times}) AS times WHERE column1 = key);"
            for table in ("orders", "refused")
        )
        forge_log("".join(in_both))

    @pytest.fixture
    def subject(self, history: None, owner_orders: OrderBooks) -> OrderBooks:
        """The log under test, with HISTORY in it."""
        return owner_orders

    def test_ended_buys_come_newest_first_with_the_refused_ones(self, subject: OrderBooks) -> None:
        page = subject.logged_buys(Selection(), limit=10)
        assert page.next is None
        assert list(page.buys) == [
            LoggedBuy("2026-11-28T12:00:00.000Z", 3, "d", "Bird", 2, 3999, None, 0),
            LoggedBuy("2026-11-28T11:00:00.000Z", -1, "no2", "Tux", 1_000, None, "out of stock", 0),
            LoggedBuy("2026-11-28T00:00:00.000Z", 2, "c", "Tux", 3, 2599, None, 0),
            LoggedBuy("2026-11-27T10:00:00.000Z", -1, "no1", "Nix", 1, None, "product not found", 0),
            LoggedBuy("2026-11-27T09:00:00.000Z", 1, "b", "Bird", 1, 3999, None, 0),
            LoggedBuy("2026-11-27T08:00:00.000Z", 0, "a", "Tux", 2, 2599, None, 0),
        ]

    @pytest.mark.parametrize("limit", [1, 2, 4, 5, 6])
    def test_pages_of_any_size_have_each_buy_once(self, subject: OrderBooks, limit: int) -> None:
        pages = list(all_pages(subject, Selection(), limit))
        assert [key for page in pages for key in keys_on(page)] == ["d", "no2", "c", "no1", "b", "a"]
        assert len(pages) == -(-6 // limit)

    @pytest.mark.parametrize(
        ("selection", "keys"),
        [
            (Selection(number=2), ["c"]),
            (Selection(number=0), ["a"]),
            (Selection(number=4), []),
            (Selection(number=REFUSED_NUMBER), ["no2", "no1"]),
            (Selection(product="Tux"), ["no2", "c", "a"]),
            (Selection(product="tux"), []),
            (Selection(key="b"), ["b"]),
            (Selection(key="no1"), ["no1"]),
            (Selection(key="nobody's"), []),
            (Selection(key="b", number=1), ["b"]),
            (Selection(key="b", number=2), []),
            (Selection(key="b", number=REFUSED_NUMBER), []),
            (Selection(key="no1", number=0), []),
            (Selection(key="b", product="Tux"), []),
            (Selection(key="no1", since="2026-11-28"), []),
            (Selection(since="2026-11-28"), ["d", "no2", "c"]),
            (Selection(until="2026-11-28"), ["no1", "b", "a"]),
            (Selection(since="2026-11-27T09", until="2026-11-28T11:00:00.000Z"), ["c", "no1", "b"]),
            (Selection(product="Tux", since="2026-11-28", until="2026-11-28T11"), ["c"]),
            (Selection(since="2026-11-29"), []),
        ],
    )
    def test_a_selection_has_what_it_names(self, subject: OrderBooks, selection: Selection, keys: list[str]) -> None:
        assert keys_on(subject.logged_buys(selection, limit=10)) == keys
        assert [key for page in all_pages(subject, selection, 1) for key in keys_on(page)] == keys

    def test_buys_between_two_pages_are_on_neither(self, subject: OrderBooks, checkout: Checkout) -> None:
        first = subject.logged_buys(Selection(), limit=2)
        checkout.place(Buy("new", "Tux", 1))
        with pytest.raises(Refused):
            checkout.place(Buy("new-refused", "Nix", 1))
        assert first.next is not None
        second = subject.logged_buys(Selection(), before=first.next, limit=10)
        assert keys_on(first) + keys_on(second) == ["d", "no2", "c", "no1", "b", "a"]

    def test_no_buy_is_lost_between_pages_when_the_clock_was_set_back(
        self, subject: OrderBooks, forge_log: Callable[[str], None]
    ) -> None:
        forge_log(
            "UPDATE orders SET time = '2026-11-27T09:30:00.000Z' WHERE key = 'c';"
            "UPDATE refused SET time = '2026-11-20T00:00:00.000Z' WHERE key = 'no2'",
        )
        for limit in range(1, 7):
            keys = [key for page in all_pages(subject, Selection(), limit) for key in keys_on(page)]
            assert sorted(keys) == sorted(key for key, *_ in HISTORY)
            assert [key for key in keys if not key.startswith("no")] == ["d", "c", "b", "a"]

    def test_a_name_and_a_key_come_as_they_are(self, subject: OrderBooks, checkout: Checkout) -> None:
        with pytest.raises(Refused):
            checkout.place(Buy("\"'%&+<", '"Äpfel" \\ 犬', 1))
        [buy] = subject.logged_buys(Selection(key="\"'%&+<", product='"Äpfel" \\ 犬'), limit=10).buys
        assert (buy.key, buy.product) == ("\"'%&+<", '"Äpfel" \\ 犬')

    def test_takings_count_what_was_sold_by_day_and_product(self, subject: OrderBooks) -> None:
        assert list(subject.takings(Selection())) == [
            Takings("2026-11-28", "Bird", 2, 7998, 0, 0),
            Takings("2026-11-28", "Tux", 3, 7797, 0, 0),
            Takings("2026-11-27", "Bird", 1, 3999, 0, 0),
            Takings("2026-11-27", "Tux", 2, 5198, 0, 0),
        ]

    @pytest.mark.parametrize(
        ("selection", "sold"),
        [
            (Selection(product="Tux"), [("2026-11-28", 3), ("2026-11-27", 2)]),
            (Selection(since="2026-11-28", product="Bird"), [("2026-11-28", 2)]),
            (Selection(until="2026-11-28", product="Bird"), [("2026-11-27", 1)]),
            (Selection(product="Nix"), []),
        ],
    )
    def test_takings_are_of_the_selection(
        self, subject: OrderBooks, selection: Selection, sold: list[tuple[str, int]]
    ) -> None:
        assert [(line.day, line.sold) for line in subject.takings(selection)] == sold

    def test_a_return_counts_on_its_own_day_at_the_price_of_its_order(
        self, subject: OrderBooks, returns: Returns, forge_log: Callable[[str], None]
    ) -> None:
        for key, number, quantity in (("r1", 0, 1), ("r2", 0, 1), ("r3", 1, 1)):
            assert isinstance(returns.give_back(Return(key, number, quantity)), Returned)
        forge_log(
            "UPDATE returns SET time = CASE key WHEN 'r3' THEN '2026-11-29T08:00:00.000Z'"
            " ELSE '2026-11-28T08:00:00.000Z' END",
        )
        assert list(subject.takings(Selection())) == [
            Takings("2026-11-29", "Bird", 0, 0, 1, 3999),
            Takings("2026-11-28", "Bird", 2, 7998, 0, 0),
            Takings("2026-11-28", "Tux", 3, 7797, 2, 5198),
            Takings("2026-11-27", "Bird", 1, 3999, 0, 0),
            Takings("2026-11-27", "Tux", 2, 5198, 0, 0),
        ]
        assert list(subject.takings(Selection(product="Bird", since="2026-11-29"))) == [
            Takings("2026-11-29", "Bird", 0, 0, 1, 3999)
        ]
        assert [(buy.key, buy.returned) for buy in subject.logged_buys(Selection(), limit=10).buys] == [
            ("d", 0),
            ("no2", 0),
            ("c", 0),
            ("no1", 0),
            ("b", 1),
            ("a", 2),
        ]
        assert subject.books().returns == 3

    def test_the_returns_of_an_order_come_newest_first(self, subject: OrderBooks, returns: Returns) -> None:
        for asked in (Return("r1", 0, 1, "wrong colour"), Return("r2", 1, 1), Return("r3", 0, 1)):
            assert isinstance(returns.give_back(asked), Returned)
        found = subject.returns_of(0)
        assert [(one.key, one.quantity, one.note) for one in found] == [("r3", 1, None), ("r1", 1, "wrong colour")]
        assert all(one.time.endswith("Z") for one in found)
        assert list(subject.returns_of(99)) == []

    def test_the_books_count_the_log_and_name_the_oldest_buy_in_doubt(
        self, subject: OrderBooks, orders: OrderStore
    ) -> None:
        books = subject.books()
        assert (books.orders, books.refused, books.in_doubt, books.oldest_in_doubt) == (4, 2, 0, None)
        orders.begin([Buy("doubtful", "Tux", 1), Buy("later", "Tux", 1)])
        books = subject.books()
        assert books.in_doubt == 2
        assert books.oldest_in_doubt is not None
        assert books.oldest_in_doubt.endswith("Z")
        orders.begin_returns([Return("back", 3, 1)])
        assert subject.books().in_doubt == 3
        assert sum(size for _, size in books.bytes_by_file) > 0
