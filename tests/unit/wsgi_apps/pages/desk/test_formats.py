"""Numbers, sizes and times, as people read them."""

import pytest

from wsgi_apps.pages.desk.formats import moment, number, pieces, sentence, signed, size


def test_numbers_have_their_thousands_apart_and_a_proper_minus() -> None:
    assert [number(1234567), number(-1), signed(20), signed(0), signed(-3)] == ["1,234,567", "−1", "+20", "0", "−3"]
    assert [pieces(1), pieces(0), pieces(2000)] == ["1 piece", "0 pieces", "2,000 pieces"]


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1_000, "1.0 kB"), (123_456_789, "123.5 MB"), (10**15, "1000.0 TB")],
)
def test_a_size_has_a_unit(count: int, text: str) -> None:
    assert size(count) == text


def test_a_time_is_an_element_that_programs_read() -> None:
    html = moment("2026-11-28T13:45:09.123Z")
    assert html == '<time datetime="2026-11-28T13:45:09.123Z">2026-11-28 13:45:09</time>'
    assert "<b>" not in moment("<b>")


def test_the_message_of_an_error_becomes_a_sentence() -> None:
    assert sentence("from is not a day") == "From is not a day."
    assert sentence("OWNER_SECRET is wrong") == "OWNER_SECRET is wrong."
