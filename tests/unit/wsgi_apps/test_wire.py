"""The JSON forms of the calls between tiers."""

import json

import pytest

from domain.errors import Invalid, KeyReused, OutOfStock, ProductNotFound, StoreError, TooManyRefusals, Unavailable
from domain.limits import MAX_BATCH, MAX_BODY_BYTES, MAX_NAMES, MAX_RETURNS
from domain.returns import Return, Returned, SaleReturn, TakenBack
from domain.values import (
    MAX_KEY_CHARACTERS,
    MAX_NAME_CHARACTERS,
    MAX_NOTE_CHARACTERS,
    MAX_PRICE_CENTS,
    MAX_QUANTITY,
    Buy,
    Order,
    Product,
    Sold,
)
from wsgi_apps.wire import (
    BUYS,
    LOOKUPS,
    RETURNS,
    SALES,
    STORE,
    decode_buys,
    decode_found,
    decode_names,
    decode_order,
    decode_placed,
    decode_return,
    decode_returned,
    decode_sale,
    decode_sale_returns,
    decode_take_back,
    encode_buys,
    encode_found,
    encode_names,
    encode_order,
    encode_placed,
    encode_return,
    encode_returned,
    encode_sale,
    encode_sale_returns,
    encode_take_back,
)

GOOD = b'[["k", "Tux", 1]]'


def test_the_calls_between_the_tiers_have_version_1() -> None:
    assert (BUYS, SALES, LOOKUPS, STORE) == ("/v1/buys", "/v1/sales", "/v1/lookups", "/v1/store")
    assert RETURNS == "/v1/returns"


def test_valid_rows_are_decoded() -> None:
    assert decode_buys(GOOD) == [Buy("k", "Tux", 1)]
    assert decode_buys(b" [ ] \r\n") == []
    assert encode_buys([Buy("k", "Tüx", 1)]) == '[["k", "Tüx", 1]]'.encode()
    assert encode_names(["Tüx"]) == '["Tüx"]'.encode()
    assert decode_names('["Tu\u0308x"]'.encode()) == ["T\u00fcx"], "names are in NFC"


# A quotation mark takes two bytes in JSON, an emoji four in UTF-8.
LONGEST_KEY = '"' * MAX_KEY_CHARACTERS
LONGEST_NAME = "\U0001f427" * MAX_NAME_CHARACTERS


def test_a_batch_of_the_longest_buys_fits_the_body_that_a_tier_accepts() -> None:
    longest = Buy(LONGEST_KEY, LONGEST_NAME, MAX_QUANTITY)
    body = encode_buys([longest] * MAX_BATCH)
    assert 0.9 * MAX_BODY_BYTES < len(body) <= MAX_BODY_BYTES
    assert decode_buys(body) == [longest] * MAX_BATCH


def test_a_batch_of_the_longest_names_fits_the_body_that_a_tier_accepts() -> None:
    body = encode_names([LONGEST_NAME] * MAX_NAMES)
    assert 0.9 * MAX_BODY_BYTES < len(body) <= MAX_BODY_BYTES
    assert decode_names(body) == [LONGEST_NAME] * MAX_NAMES


def test_an_ascii_character_takes_at_most_two_bytes_of_a_body() -> None:
    assert max(len(encode_names([chr(code)])) for code in range(0x20, 0x7F)) == len(encode_names([""])) + 2


def test_a_tier_of_an_earlier_release_accepts_the_largest_batch() -> None:
    assert (MAX_BATCH, MAX_NAMES) == (112, 240)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"{}",
        b"7",
        b'"kTux1"',
        b"[1]",
        b"[null]",
        b"[[]]",
        b"[{}]",
        b'["kTu"]',
        b'{"sales": [["k", "Tux", 1]]}',
        b'[{"key": "k", "name": "Tux", "quantity": 1}]',
        b'[["k", "Tux"]]',
        b'[["k", "Tux", 1, null]]',
        b'[["k", {"a": 1, "a": 1}, 1]]',
        b'[[["k", "Tux", 1]]]',
        b"\xff",
        b"[" * 16_000,
        b"[" * 16_000 + b"]" * 16_000,
        b'{"a":' * 3_000,
        b"[" + b",".join([b'["k", "Tux", 1]'] * (MAX_BATCH + 1)) + b"]",
        GOOD + GOOD,
        GOOD.replace(b"]]", b"],]"),
        b"\xef\xbb\xbf" + GOOD,
        GOOD.decode().encode("utf-16"),
        GOOD.decode().encode("utf-32"),
        GOOD.replace(b"1", b"true"),
        GOOD.replace(b"1", b"NaN"),
        GOOD.replace(b"1", b"Infinity"),
        GOOD.replace(b"1", b"-Infinity"),
        GOOD.replace(b"1", b"1e999"),
        GOOD.replace(b"1", b"1.0"),
        GOOD.replace(b"1", b"1e0"),
        GOOD.replace(b"1", b"-1"),
        GOOD.replace(b"1", b"01"),
        GOOD.replace(b"1", b"null"),
        GOOD.replace(b"1", b"[1]"),
        GOOD.replace(b"1", b"0"),
        GOOD.replace(b"1", b'"1"'),
        GOOD.replace(b"1", b"9" * 5_000),
        GOOD.replace(b'"k"', b'""'),
        GOOD.replace(b'"k"', b"null"),
        GOOD.replace(b"Tux", b"\\ud800"),
        GOOD.replace(b"Tux", b"a/b"),
        GOOD.replace(b'"Tux"', b"7"),
        GOOD.replace(b"Tux", b"T\nx"),
        GOOD.replace(b'"Tux"', b"'Tux'"),
    ],
)
def test_a_body_that_is_not_rows_of_buys_is_invalid(body: bytes) -> None:
    with pytest.raises(Invalid):
        decode_buys(body)


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[1]", b"[null]", b'["a/b"]', b'[["Tux"]]', b'["Tux"', b"[NaN]", b'[""]']
)
def test_a_body_that_is_not_names_is_invalid(body: bytes) -> None:
    with pytest.raises(Invalid):
        decode_names(body)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"nonsense", "the body is not JSON: "),
        (b"{}", "the body is not an array"),
        (b'[["k", "Tux"]]', "a buy is not an array of its key, name and quantity"),
        (b'[[1, "Tux", 1]]', "a key is not a string"),
        (b'[["k", null, 1]]', "a name is not a string"),
        (b'[["k", "Tux", true]]', "a quantity is not a whole number"),
        (b'[["k", "Tux", 0]]', "the quantity is below 1"),
    ],
)
def test_the_error_names_the_problem_of_a_body(body: bytes, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        decode_buys(body)


def test_a_call_carries_at_most_max_batch_buys() -> None:
    buys = [Buy(f"key-{number}", "Tux", 1) for number in range(MAX_BATCH + 1)]
    assert decode_buys(encode_buys(buys[:MAX_BATCH])) == buys[:MAX_BATCH]
    with pytest.raises(Invalid, match="more than"):
        decode_buys(encode_buys(buys))


def test_every_price_survives_encoding_to_the_cent() -> None:
    """A floating-point number is not exact for half of all prices: 19.99 x 100 is 1998.9999…"""
    for price_cents in (*range(20_000), MAX_PRICE_CENTS - 1, MAX_PRICE_CENTS):
        order = Order(7, "Tux", 2, price_cents, "now")
        assert decode_order(json.loads(json.dumps(encode_order(order)))) == order


REFUSALS = [OutOfStock(), ProductNotFound(), KeyReused()]
UNAVAILABLE = [Unavailable(), TooManyRefusals(), TooManyRefusals(retry_after_s=70), Unavailable(retry_after_s=1)]


@pytest.mark.parametrize(
    "found", [Product("Tux", 2599, 0), Product("\U0001f427", MAX_PRICE_CENTS, 7), ProductNotFound()]
)
def test_a_found_product_survives_encoding(found: Product | ProductNotFound) -> None:
    assert decode_found(json.loads(json.dumps(encode_found(found)))) == found


@pytest.mark.parametrize("sale", [Sold(0), Sold(2599), *REFUSALS])
def test_the_result_of_a_sale_survives_encoding(sale: Sold | OutOfStock | KeyReused) -> None:
    assert decode_sale(json.loads(json.dumps(encode_sale(sale)))) == sale


@pytest.mark.parametrize("placed", [0, 7, *REFUSALS, *UNAVAILABLE])
def test_the_result_of_a_buy_survives_encoding(placed: int | OutOfStock | KeyReused | Unavailable) -> None:
    decoded = decode_placed(json.loads(json.dumps(encode_placed(placed))))
    assert decoded == placed
    assert type(decoded) is type(placed)
    if isinstance(placed, Unavailable) and isinstance(decoded, Unavailable):
        assert decoded.retry_after_s == placed.retry_after_s


@pytest.mark.parametrize("error", UNAVAILABLE)
def test_unavailable_is_not_the_result_of_a_sale(error: Unavailable) -> None:
    with pytest.raises(ValueError, match="not a definite answer"):
        decode_sale(encode_sale(error))


@pytest.mark.parametrize(
    "value",
    [
        None,
        -1,
        True,
        7.0,
        "7",
        [],
        {},
        [404],
        [404, "out of stock"],
        [404, "out of stock", None, None],
        ["404", "out of stock", None],
        [404.0, "out of stock", None],
        [404, "not found", None],
        [404, "order not found", None],
        [404, {}, None],
        [400, "the quantity is below 1", None],
        [409, "this catalog is not the one of your order log", None],
        [200, "out of stock", None],
        [429, TooManyRefusals.message, "70"],
        [503, "something else", None],
        {"order_number": "7"},
        {"error": {"code": 404, "message": "out of stock"}},
    ],
)
def test_a_value_outside_the_contract_is_not_the_result_of_a_buy(value: object) -> None:
    for decode in (decode_placed, decode_sale):
        with pytest.raises((ValueError, TypeError, StoreError)):
            decode(value)


@pytest.mark.parametrize(
    "value",
    [7, "Tux", [], {}, ["Tux", 2599], ["Tux", 2599, 1, 1], ["Tux", 25.99, 1], ["Tux", 2599, True], [None, 2599, 1]],
)
def test_a_value_that_is_not_a_product_is_rejected(value: object) -> None:
    with pytest.raises((ValueError, TypeError, StoreError)):
        decode_found(value)


def test_a_batch_of_the_longest_returns_fits_the_body_that_a_tier_accepts() -> None:
    note = "\U0001f427" * MAX_NOTE_CHARACTERS
    longest = SaleReturn(LONGEST_KEY, LONGEST_KEY, LONGEST_NAME, MAX_QUANTITY, note)
    body = encode_sale_returns([longest] * MAX_RETURNS)
    assert 0.9 * MAX_BODY_BYTES < len(body) <= MAX_BODY_BYTES
    assert decode_sale_returns(body) == [longest] * MAX_RETURNS


def test_a_sale_may_have_any_key_that_was_made_by_hand() -> None:
    odd = [SaleReturn("r", sale, "Tux", 1) for sale in ("by hand, 2", "B\xe4r", "a\nb", "\U0001f427" * 128)]
    assert decode_sale_returns(encode_sale_returns(odd)) == odd


GOOD_RETURN = b'[["r", "k", "Tux", 1, "torn"]]'


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[1]",
        b"[[]]",
        b'[["r", "k", "Tux", 1]]',
        b'[["r", "k", "Tux", 1, null, null]]',
        b'[["r", "", "Tux", 1, null]]',
        b'[["r", "\\ud800", "Tux", 1, null]]',
        b'[["r", "' + b"x" * 129 + b'", "Tux", 1, null]]',
        GOOD_RETURN.replace(b'"r"', b'"a b"'),
        GOOD_RETURN.replace(b'"r"', b"null"),
        GOOD_RETURN.replace(b'"k"', b"null"),
        GOOD_RETURN.replace(b"Tux", b"a/b"),
        GOOD_RETURN.replace(b"1", b"true"),
        GOOD_RETURN.replace(b"1", b"0"),
        GOOD_RETURN.replace(b"1", b"1.0"),
        GOOD_RETURN.replace(b"torn", b""),
        GOOD_RETURN.replace(b'"torn"', b"7"),
        b"[" + b",".join([GOOD_RETURN[1:-1]] * (MAX_RETURNS + 1)) + b"]",
    ],
)
def test_a_body_that_is_not_rows_of_returns_is_invalid(body: bytes) -> None:
    assert decode_sale_returns(GOOD_RETURN) == [SaleReturn("r", "k", "Tux", 1, "torn")]
    with pytest.raises(Invalid):
        decode_sale_returns(body)


@pytest.mark.parametrize("taken", [TakenBack(), KeyReused(), Invalid("no such sale")])
def test_the_result_of_a_return_survives_encoding(taken: TakenBack | KeyReused | Invalid) -> None:
    assert decode_take_back(json.loads(json.dumps(encode_take_back(taken)))) == taken


@pytest.mark.parametrize(
    "value", [None, False, 1, "true", [], {}, [400], [404, "order not found", None], [503, Unavailable.message, None]]
)
def test_a_value_outside_the_contract_is_not_the_result_of_a_return(value: object) -> None:
    with pytest.raises((ValueError, TypeError, StoreError)):
        decode_take_back(value)


@pytest.mark.parametrize(
    "asked", [Return("r", 7), Return("r", 7, 2), Return("r", 7, 2, "zu gro\xdf"), Return("r", 7, None, "x")]
)
def test_a_request_to_give_back_survives_encoding(asked: Return) -> None:
    assert decode_return("r", 7, encode_return(asked)) == asked


def test_a_return_survives_encoding() -> None:
    returned = Returned(7, 2, 3, "now")
    assert decode_returned(json.loads(json.dumps(encode_returned(returned)))) == returned


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        {"order_number": 7, "quantity": 2, "returned": 3, "time": "now"},
        {"order_number": "7", "quantity": True, "returned": 3, "time": "now"},
        {"order_number": "x", "quantity": 2, "returned": 3, "time": "now"},
        {"order_number": "7", "quantity": 2, "returned": 3},
    ],
)
def test_a_value_that_is_not_a_return_is_rejected(value: object) -> None:
    with pytest.raises((ValueError, TypeError, LookupError, StoreError)):
        decode_returned(value)
