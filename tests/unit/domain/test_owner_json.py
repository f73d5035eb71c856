"""The owner's values as JSON: they come back as they went, and nothing else is taken for them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import Invalid
from domain.owner import Books, LastAudit, LogCursor, StockedProduct
from domain.owner_json import (
    BACKUP,
    HISTORY_ENTRY,
    LEDGER_ENTRY,
    LOGGED_BUY,
    STOCKED_PRODUCT,
    TAKINGS,
    Row,
    decode_audit,
    decode_books,
    decode_buys_page,
    encode_audit,
    encode_books,
    encode_cursor,
    parse_cursor,
)

AUDIT = LastAudit("2026-11-28T12:00:00.000Z", False, ["I1, Tux: wrong"], None)
BOOKS = Books(5, 4, 3, 2, "2026-11-28T11:00:00.000Z", [("catalog.db", 8), ("order.db", 9)], AUDIT)
BUY = ["2026-11-28T12:00:00.000Z", 3, "k", "Tux", 2, 2599, None, 1]


@pytest.mark.parametrize("row", [STOCKED_PRODUCT, LEDGER_ENTRY, HISTORY_ENTRY, LOGGED_BUY, TAKINGS, BACKUP])
@given(data=st.data())
def test_a_row_comes_back_as_it_went(row: Row[Any], data: st.DataObject) -> None:
    values = {str: st.text(), int: st.integers(), bool: st.booleans(), type(None): st.none()}
    value = row._kind(*(data.draw(st.one_of([values[each] for each in types])) for types in row._types))
    assert row.decode(json.loads(json.dumps(row.encode(value)))) == value


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        "row",
        [],
        ["Tux", 1, 2],
        ["Tux", 1, 2, False, 1],
        ["Tux", True, 2, False],
        ["Tux", 1, 2, 0],
        [1, 1, 2, True],
    ],
)
def test_a_row_of_another_form_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"row|type"):
        STOCKED_PRODUCT.decode(value)
    with pytest.raises(ValueError, match=r"row|type|array"):
        STOCKED_PRODUCT.decode_all(value if value and not isinstance(value, list) else [value])


def test_a_row_of_the_right_form_is_taken() -> None:
    assert STOCKED_PRODUCT.decode_all([["Tux", 1, 2, True]]) == [StockedProduct("Tux", 1, 2, True)]


@given(
    st.integers(0, 2**63 - 1),
    st.text(st.characters(exclude_characters=",\0")),
    st.text(st.characters(exclude_characters="\0")),
)
def test_a_cursor_comes_back_from_its_text(number: int, time: str, key: str) -> None:
    cursor = LogCursor(number, time, key)
    assert parse_cursor(encode_cursor(cursor)) == cursor


@pytest.mark.parametrize("text", ["", "7", "7,x", "x,y,z", "-1,y,z", ",,", "99999999999999999999,y,z"])
def test_a_text_that_is_no_cursor_is_invalid(text: str) -> None:
    with pytest.raises(Invalid, match="not the 'next' of a page"):
        parse_cursor(text)


def test_a_page_comes_with_its_cursor() -> None:
    page = decode_buys_page({"data": [BUY], "next": [3, "time", "key"]})
    assert [buy.key for buy in page.buys] == ["k"]
    assert page.next == LogCursor(3, "time", "key")
    assert decode_buys_page({"data": [], "next": None}).next is None


@pytest.mark.parametrize("value", [[], {}, {"data": []}, {"data": [1], "next": None}, {"data": [BUY], "next": "3,a,b"}])
def test_a_page_of_another_form_is_refused(value: object) -> None:
    with pytest.raises((LookupError, TypeError, ValueError)):
        decode_buys_page(value)


def test_books_and_audits_come_back_as_they_went() -> None:
    for books in (BOOKS, Books(0, 0, 0, 0, None, [], None)):
        assert decode_books(json.loads(json.dumps(encode_books(books)))) == books
    assert decode_audit(json.loads(json.dumps(encode_audit(AUDIT)))) == AUDIT


@pytest.mark.parametrize(
    "value",
    [None, [], {}, [1, 2, 3, 4, None, [], None, 1], [1, 2, 3, 4, None, [["a"]], None], [1, 2, 3, 4, None, [], {}]],
)
def test_books_of_another_form_are_refused(value: object) -> None:
    with pytest.raises((LookupError, TypeError, ValueError)):
        decode_books(value)
