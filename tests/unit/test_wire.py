import json

import pytest

from domain.checkout import MAX_BATCH
from domain.errors import Invalid
from domain.values import (
    MAX_KEY_CHARACTERS,
    MAX_NAME_CHARACTERS,
    MAX_PRICE_CENTS,
    MAX_QUANTITY,
    Buy,
    Order,
    Product,
)
from wsgi_apps.base import MAX_BODY_BYTES
from wsgi_apps.wire import (
    MAX_NAMES,
    buys_body,
    buys_of,
    names_body,
    names_of,
    order_json,
    order_of,
    product_json,
    product_of,
)

GOOD = b'{"sales": [{"key": "k", "name": "Tux", "quantity": 1}]}'


def test_good_json_is_read() -> None:
    [buy] = buys_of(GOOD)
    assert (buy.key, buy.product, buy.quantity) == ("k", "Tux", 1)


def test_a_batch_of_the_longest_buys_fits_the_body_that_a_tier_accepts() -> None:
    # A quotation mark takes two bytes in JSON, an emoji four in UTF-8.
    longest = Buy('"' * MAX_KEY_CHARACTERS, "\U0001f427" * MAX_NAME_CHARACTERS, MAX_QUANTITY)
    body = buys_body([longest] * MAX_BATCH)
    assert len(body) <= MAX_BODY_BYTES
    assert buys_of(body) == [longest] * MAX_BATCH


def test_a_batch_of_the_longest_names_fits_as_well() -> None:
    body = names_body(["\U0001f427" * MAX_NAME_CHARACTERS] * MAX_NAMES)
    assert len(body) <= MAX_BODY_BYTES
    assert len(names_of(body)) == MAX_NAMES


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b'{"sales": {}}',
        b'{"sales": [1]}',
        b'{"sales": [], "more": 1}',
        b'{"sales": [], "sales": []}',
        b"\xff",
        b"[" * 16_000,
        b'{"a":' * 3_000,
        b'{"sales": ' + b"[" + b",".join([b"1"] * (MAX_BATCH + 1)) + b"]}",
        GOOD.replace(b"1", b"true"),
        GOOD.replace(b"1", b"NaN"),
        GOOD.replace(b"1", b"Infinity"),
        GOOD.replace(b"1", b"1.0"),
        GOOD.replace(b"1", b"0"),
        GOOD.replace(b"1", b'"1"'),
        GOOD.replace(b"1", b"9" * 5_000),
        GOOD.replace(b'"k"', b'""'),
        GOOD.replace(b'"k"', b"null"),
        GOOD.replace(b"Tux", b"\\ud800"),
        GOOD.replace(b"Tux", b"a/b"),
        GOOD.replace(b'"name": "Tux", ', b""),
        GOOD.replace(b'"key": "k"', b'"key": "k", "key": "k"'),
    ],
)
def test_bad_json_is_invalid(body: bytes) -> None:
    with pytest.raises(Invalid):
        buys_of(body)


def test_a_call_carries_so_many_buys_and_no_more() -> None:
    buys = [Buy(f"key-{number}", "Tux", 1) for number in range(MAX_BATCH + 1)]
    assert buys_of(buys_body(buys[:MAX_BATCH])) == buys[:MAX_BATCH]
    with pytest.raises(Invalid, match="more than"):
        buys_of(buys_body(buys))


def test_a_price_travels_to_the_cent() -> None:
    """Half of all prices are not quite what a floating-point number says: 19.99 x 100 is 1998.9999…"""
    for price_cents in (*range(20_000), MAX_PRICE_CENTS - 1, MAX_PRICE_CENTS):
        product = Product("Tux", price_cents, 1)
        assert product_of(json.loads(json.dumps(product_json(product)))) == product
        order = Order(7, "Tux", 2, price_cents, "now")
        assert order_of(json.loads(json.dumps(order_json(order)))) == order
