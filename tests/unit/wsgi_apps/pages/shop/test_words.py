"""Stocks and times as shoppers read them."""

import pytest

from wsgi_apps.pages.shop.words import moment, product_path, receipt_path, stock, stock_level


@pytest.mark.parametrize(
    ("quantity", "text", "level"),
    [
        (1_000_000_000, "1,000,000,000 in stock", "plenty"),
        (80, "80 in stock", "plenty"),
        (6, "6 in stock", "plenty"),
        (5, "last 5", "few"),
        (1, "last 1", "few"),
        (0, "sold out", "none"),
    ],
)
def test_the_last_pieces_are_called_so(quantity: int, text: str, level: str) -> None:
    assert (stock(quantity), stock_level(quantity)) == (text, level)


def test_a_time_is_told_in_utc() -> None:
    assert moment("2026-11-08T03:05:09.123Z") == "8 November 2026, 03:05:09 UTC"


def test_every_character_of_a_name_or_a_key_stays_within_its_segment() -> None:
    assert product_path("a/b?c#d%2F ü") == "/shop/a%2Fb%3Fc%23d%252F%20%C3%BC"
    assert receipt_path('"/?#') == "/receipts/%22%2F%3F%23"
