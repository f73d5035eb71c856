"""Amounts of money, as people read them."""

import pytest

from wsgi_apps.pages.money import money


@pytest.mark.parametrize(
    ("cents", "text"),
    [
        (0, "0.00"),
        (5, "0.05"),
        (2599, "25.99"),
        (-2598, "−25.98"),
        (123_456, "1,234.56"),
        # 1,000,000 pieces at the highest price: more digits than a float has.
        (100_000_000_000 * 1_000_000 - 1, "999,999,999,999,999.99"),
    ],
)
def test_an_amount_is_made_of_whole_cents(cents: int, text: str) -> None:
    assert money(cents) == text
    assert money(cents, "EUR") == f"{text}\xa0EUR", "no line breaks between the two"
