"""The order tier's answer to a key, on the wire: every answer comes back as it was, and anything else is refused."""

from typing import Any

import pytest

from domain.errors import Invalid, OutOfStock, ProductNotFound
from domain.limits import MAX_BATCH
from domain.values import Buy, KnownBuy, Order
from wsgi_apps.wire import decode_keys, decode_known, encode_keys, encode_known

BUY = Buy("k", "Tux", 3)
TIME = "2026-11-28T13:45:09.123Z"
ORDER = Order(7, "Tux", 3, 2599, TIME)
KNOWN = [
    KnownBuy(BUY, ORDER),
    KnownBuy(BUY, ORDER, returned=3),
    KnownBuy(BUY, OutOfStock()),
    KnownBuy(BUY, ProductNotFound()),
    KnownBuy(BUY, None),
    None,
]


@pytest.mark.parametrize("known", KNOWN)
def test_an_answer_comes_back_as_it_was(known: KnownBuy | None) -> None:
    assert decode_known("k", encode_known(known)) == known


@pytest.mark.parametrize(
    "value",
    [
        7,
        [],
        ["Tux", 3, None],
        ["Tux", 0, None, None],
        ["Tux", True, None, None],
        ["", 3, None, None],
        ["Tux", 3, [7, 2599, TIME], None],
        ["Tux", 3, [-1, 2599, TIME, 0], None],
        ["Tux", 3, [7, -1, TIME, 0], None],
        ["Tux", 3, [7, 2599, None, 0], None],
        ["Tux", 3, [7, 2599, TIME, 4], None],
        ["Tux", 3, None, [503, "the store is busy, try again", None]],
        ["Tux", 3, None, [422, "this Idempotency-Key was used for another product or quantity", None]],
        ["Tux", 3, None, [404, "no such error", None]],
    ],
)
def test_any_other_answer_is_refused(value: Any) -> None:
    with pytest.raises((ValueError, TypeError, Invalid)):
        decode_known("k", value)


def test_keys_come_back_as_they_were() -> None:
    keys = ["k", '"/%', "x" * 128]
    assert decode_keys(encode_keys(keys)) == keys


@pytest.mark.parametrize("body", [b"", b"{}", b"[1]", b'[""]', b'["a,b"]', b'["\xc3\xa9"]'])
def test_keys_that_are_none_are_refused(body: bytes) -> None:
    with pytest.raises(Invalid):
        decode_keys(body)


def test_a_call_has_no_more_keys_than_fit() -> None:
    assert len(encode_keys(["x" * 128] * MAX_BATCH)) < 64 * 1024
    with pytest.raises(Invalid):
        decode_keys(encode_keys(["k"] * (MAX_BATCH + 1)))
