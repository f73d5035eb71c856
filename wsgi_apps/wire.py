"""Encodes and decodes the values in requests and responses as JSON, for both ends of a call."""

import json
import re
from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar
from urllib.parse import quote, unquote

from werkzeug.datastructures import Headers

from domain.errors import Invalid, KeyReused, ProductNotFound, Refused, StoreError, Unavailable
from domain.limits import MAX_BATCH, MAX_NAMES, MAX_RETURNS
from domain.pairing import Introduction, LogMark
from domain.protocols import Found, Placed, Sale
from domain.returns import Return, Returned, SaleReturn, TakeBack, TakenBack
from domain.values import (
    MAX_KEY_CHARACTERS,
    MAX_PRICE_CENTS,
    Buy,
    KnownBuy,
    Order,
    Product,
    Sold,
    check_quantity,
    parse_key,
    parse_name,
    parse_note,
)
from wsgi_apps.errors import decode_error, status_of

T = TypeVar("T")

# The version of the calls between tiers. Their paths contain it, because during an upgrade tiers of two releases call
# each other. A change of a call or of its reply needs a new version, and the called tier serves the old version for one
# more release. An upgrade therefore begins with the innermost tier: catalog, order tier, front end. A tier answers 404
# "not found" to an unknown version, which says nothing about a buy.
VERSION = 1
CALLS = ("buys", "sales", "lookups", "store", "returns", "receipts")
BUYS, SALES, LOOKUPS, STORE, RETURNS, RECEIPTS = (f"/v{VERSION}/{call}" for call in CALLS)
# The owner's calls are below this path.
OWNER = f"/v{VERSION}/owner"

# More than the largest page: the most products of a page, each with the longest name and the highest price.
MAX_PAGE_BYTES = 512 * 1024

# The largest integer of SQLite. A catalog of an older release may have a stock above domain.values.MAX_STOCK.
MAX_INTEGER = 2**63 - 1

# Characters of a key that a header carries unescaped: all those of a shopper's key, except the % of an escape.
_UNESCAPED = "!\"#$&'()*+/:;<=>?@[\\]^`{|}"

# JSON may have half of a surrogate pair, which UTF-8 cannot encode.
_SURROGATE = re.compile(r"[\ud800-\udfff]")

_to_json = json.JSONEncoder(ensure_ascii=False).encode

_JSON_NAMES = {dict: "an object", list: "an array", str: "a string", int: "a whole number", bool: "a boolean"}

# The JSON that shoppers see. Inside the store prices are whole cents; here they become numbers such as 25.99.


def encode_product(product: Product) -> dict[str, Any]:
    return {"name": product.name, "price": product.price_cents / 100, "quantity": product.quantity}


def encode_product_body(product: Product) -> bytes:
    """Returns the body of the reply with a product."""
    return _to_json({"data": encode_product(product)}).encode()


def product_etag(product: Product) -> str:
    """Returns the ETag of what shoppers see of a product: price and stock, beside the name in the path."""
    return f'"{product.price_cents}-{product.quantity}"'


def decode_page(body: bytes) -> bytes:
    """Checks a page of products in a reply, and returns its JSON as bytes. The front end passes it on undecoded.

    Raises ValueError for a reply that does not look like a page, such as that of another program at this address.
    """
    page = body.rstrip(b"\n")
    if len(page) > MAX_PAGE_BYTES or not (page.startswith(b'{"data": [') and page.endswith(b"}")):
        raise ValueError(f"not a page of products: {page[:40]!r}")
    return page


def encode_order(order: Order) -> dict[str, Any]:
    """Returns an order as clients see it. Its number is a string, as in the reply to a buy."""
    return {
        "order_number": str(order.number),
        "name": order.product,
        "quantity": order.quantity,
        "price": order.price_cents / 100,
        "time": order.time,
    }


def decode_order(value: Any) -> Order:
    price_cents = round(value["price"] * 100)
    return Order(int(value["order_number"]), value["name"], value["quantity"], price_cents, value["time"])


def encode_order_number(number: int) -> dict[str, Any]:
    return {"data": {"order_number": str(number)}}


def decode_return(key: str, number: int, body: bytes) -> Return:
    """Returns the return that the owner asks for, with the JSON object in the request's body. Raises Invalid.

    The object may have a quantity and a note. An empty body means all pieces that are left, without a note.
    """
    fields = parse_object(body)
    require_known(fields, ("quantity", "note"))
    quantity, note = fields.get("quantity"), fields.get("note")
    return Return(
        key,
        number,
        None if quantity is None else check_quantity(_require(quantity, int, "the quantity")),
        None if note is None else parse_note(_require(note, str, "the note")),
    )


def encode_return(asked: Return) -> bytes:
    """Returns the body of a request to give back, which `decode_return` reads."""
    fields = {"quantity": asked.quantity, "note": asked.note}
    return _to_json({name: value for name, value in fields.items() if value is not None}).encode()


def encode_returned(returned: Returned) -> dict[str, Any]:
    """Returns a return as the owner sees it. The number of its order is a string, as in an order."""
    return {
        "order_number": str(returned.number),
        "quantity": returned.quantity,
        "returned": returned.returned,
        "time": returned.time,
    }


def decode_returned(value: Any) -> Returned:
    """Returns what `encode_returned` has encoded. Raises Invalid, LookupError, TypeError or ValueError otherwise."""
    return Returned(
        int(_require(value["order_number"], str, "order_number")),
        _require(value["quantity"], int, "quantity"),
        _require(value["returned"], int, "returned"),
        _require(value["time"], str, "time"),
    )


def parse_object(body: bytes, number: Callable[[str], Any] | None = None) -> dict[str, Any]:
    """Returns the JSON object in a request's body; an empty body has nothing in it. `number` converts each number.

    Raises Invalid, also for a name that stands twice.
    """
    if not body.strip():
        return {}
    try:
        text = str(body, "utf-8")
        value = json.loads(text, object_pairs_hook=_to_dict, parse_int=number, parse_float=number)
    except (ValueError, RecursionError) as error:
        raise Invalid(f"the body is not JSON: {error}") from None
    found: dict[str, Any] = _require(value, dict, "the body")
    return found


def _to_dict(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Invalid("a name stands twice in the body")
    return found


def require_known(names: Collection[str], known: Sequence[str]) -> None:
    """Raises Invalid for a name in a body that is not known."""
    if unknown := set(names) - set(known):
        raise Invalid(f"unknown name {min(unknown)!r} in the body; known: {', '.join(known)}")


# The JSON of the calls between tiers. Values are arrays and not objects: an array has no name that could be repeated,
# and takes half the time. The json module accepts NaN; `_require` refuses it, like true, in the place of an int.


def _parse_rows(body: bytes, max_rows: int, what: str) -> list[Any]:
    """Returns the JSON array in a request's body. Raises Invalid, also for too many rows; `what` names them."""
    try:
        value = json.loads(str(body, "utf-8"))
    except (ValueError, RecursionError) as error:
        raise Invalid(f"the body is not JSON: {error}") from None
    rows: list[Any] = _require(value, list, "the body")
    if len(rows) > max_rows:
        raise Invalid(f"more than {max_rows} {what} in a call")
    return rows


def _require(value: object, kind: type[T], what: str) -> T:
    """Returns the value. Raises Invalid, which names it as `what`, unless its type is `kind`: true is no int here."""
    if type(value) is not kind:
        raise Invalid(f"{what} is not {_JSON_NAMES[kind]}")
    return value


def encode_buys(buys: Sequence[Buy]) -> bytes:
    return _to_json([[buy.key, buy.product, buy.quantity] for buy in buys]).encode()


def decode_buys(body: bytes) -> list[Buy]:
    """Returns the buys in a request's body. Raises Invalid."""
    return [_decode_buy(row) for row in _parse_rows(body, MAX_BATCH, "buys")]


def _decode_buy(row: object) -> Buy:
    """Returns the buy in a row. Raises Invalid."""
    if type(row) is not list or len(row) != 3:
        raise Invalid("a buy is not an array of its key, name and quantity")
    key, name = _require(row[0], str, "a key"), _require(row[1], str, "a name")
    quantity = _require(row[2], int, "a quantity")
    return Buy(parse_key(key), parse_name(name), check_quantity(quantity))


def encode_names(names: Sequence[str]) -> bytes:
    return _to_json(list(names)).encode()


def decode_names(body: bytes) -> list[str]:
    """Returns the names in a request's body. Raises Invalid."""
    return [parse_name(_require(name, str, "a name")) for name in _parse_rows(body, MAX_NAMES, "names")]


def encode_found(found: Found) -> list[Any] | None:
    """Returns a product as a row, None for an unknown name, or an error in the form of `encode_sale`."""
    match found:
        case Product():
            return [found.name, found.price_cents, found.quantity]
        case ProductNotFound():
            return None
    return _encode_error(found)


def decode_found(value: Any) -> Product | ProductNotFound:
    """Returns the result of a lookup. Raises ValueError or Invalid for any other value."""
    if value is None:
        return ProductNotFound()
    name, price_cents, quantity = _require(value, list, "a product")
    return Product(
        _require(name, str, "a name"),
        _require_number(price_cents, MAX_PRICE_CENTS),
        _require_number(quantity, MAX_INTEGER),
    )


def _require_number(value: Any, maximum: int) -> int:
    """Returns the value. Raises ValueError unless it is a whole number from 0 to `maximum`."""
    if type(value) is not int or not 0 <= value <= maximum:
        raise ValueError(f"not a number from 0 to {maximum}: {value!r}")
    return value


def encode_sale(sale: Sale | Unavailable) -> int | list[Any]:
    """Returns the price in cents, or an error: its status, its message and its own Retry-After."""
    return sale.price_cents if isinstance(sale, Sold) else _encode_error(sale)


def decode_sale(value: Any) -> Sale:
    """Returns the result of one sale. Raises ValueError, TypeError or Invalid for any indefinite result."""
    if type(value) is int:
        return Sold(_require_number(value, MAX_PRICE_CENTS))
    return _require_definite(_decode_error(value))


def encode_sale_returns(returns: Sequence[SaleReturn]) -> bytes:
    return _to_json([[one.key, one.sale, one.product, one.quantity, one.note] for one in returns]).encode()


def decode_sale_returns(body: bytes) -> list[SaleReturn]:
    """Returns the returns in a request's body. Raises Invalid."""
    return [_decode_sale_return(row) for row in _parse_rows(body, MAX_RETURNS, "returns")]


def _decode_sale_return(row: object) -> SaleReturn:
    """Returns the return in a row. Raises Invalid."""
    if type(row) is not list or len(row) != 5:
        raise Invalid("a return is not an array of its key, its sale, its product, its quantity and its note")
    key, sale, product = (
        _require(text, str, what) for text, what in zip(row[:3], ("a key", "a sale", "a name"), strict=True)
    )
    note = None if row[4] is None else parse_note(_require(row[4], str, "a note"))
    quantity = check_quantity(_require(row[3], int, "a quantity"))
    return SaleReturn(parse_key(key), _parse_sale(sale), parse_name(product), quantity, note)


def _parse_sale(key: str) -> str:
    """Returns the key of a sale. Raises Invalid. A key made by hand may have any character of UTF-8."""
    if not 1 <= len(key) <= MAX_KEY_CHARACTERS or _SURROGATE.search(key):
        raise Invalid(f"a sale is not named by 1 to {MAX_KEY_CHARACTERS} characters")
    return key


def encode_take_back(taken: TakeBack | Unavailable) -> bool | list[Any]:
    """Returns true for pieces that were taken back, or an error in the form of `encode_sale`."""
    return True if isinstance(taken, TakenBack) else _encode_error(taken)


def decode_take_back(value: Any) -> TakeBack:
    """Returns the result of one return. Raises ValueError, TypeError or Invalid for any indefinite result."""
    if value is True:
        return TakenBack()
    error = _decode_error(value)
    if not isinstance(error, Invalid | KeyReused):
        raise ValueError(f"not a definite answer: {error!r}")
    return error


def encode_placed(placed: Placed) -> int | list[Any]:
    """Returns the number of the order, or an error in the form of `encode_sale`."""
    return placed if isinstance(placed, int) else _encode_error(placed)


def decode_placed(value: Any) -> Placed:
    """Returns the result of one buy, or Unavailable. Raises ValueError, TypeError or Invalid for any other value."""
    if type(value) is int and value >= 0:
        return value
    error = _decode_error(value)
    return error if isinstance(error, Unavailable) else _require_definite(error)


def encode_keys(keys: Sequence[str]) -> bytes:
    return _to_json(list(keys)).encode()


def decode_keys(body: bytes) -> list[str]:
    """Returns the idempotency keys in a request's body. Raises Invalid."""
    return [parse_key(_require(key, str, "a key")) for key in _parse_rows(body, MAX_BATCH, "keys")]


def encode_known(known: KnownBuy | None) -> list[Any] | None:
    """Returns None for an unknown key, else product and quantity, and how the buy ended.

    The order is number, price in cents, time, and the pieces that were given back; the refusal is an error in the form
    of `encode_sale`. Both are None for a buy in doubt.
    """
    if known is None:
        return None
    buy = known.buy
    match known.outcome:
        case None:
            return [buy.product, buy.quantity, None, None]
        case Order() as order:
            return [buy.product, buy.quantity, [order.number, order.price_cents, order.time, known.returned], None]
        case refusal:
            return [buy.product, buy.quantity, None, _encode_error(refusal)]


def decode_known(key: str, value: Any) -> KnownBuy | None:
    """Returns the buy of this key; None if it is unknown. Raises ValueError, TypeError or Invalid for another value."""
    if value is None:
        return None
    product, quantity, order, error = _require(value, list, "a buy")
    buy = _decode_buy([key, product, quantity])
    if order is not None:
        number, price_cents, time, returned = _require(order, list, "an order")
        found = Order(
            _require_number(number, MAX_INTEGER),
            buy.product,
            buy.quantity,
            _require_number(price_cents, MAX_PRICE_CENTS),
            _require(time, str, "a time"),
        )
        return KnownBuy(buy, found, _require_number(returned, buy.quantity))
    if error is None:
        return KnownBuy(buy, None)
    refusal = _require_definite(_decode_error(error))
    if not isinstance(refusal, Refused):
        raise ValueError(f"not a refusal: {refusal!r}")
    return KnownBuy(buy, refusal)


def encode_introduction(catalog: Introduction) -> dict[str, Any]:
    return {"id": catalog.id, "newest_sold": catalog.newest_sold, "has_last_order": catalog.has_last_order}


def decode_introduction(value: Any) -> Introduction:
    """Returns the introduction of a catalog. Raises Invalid, LookupError or TypeError for any other value."""
    newest_sold = _require(value["newest_sold"], list, "newest_sold")
    return Introduction(
        id=_require(value["id"], str, "id"),
        newest_sold=tuple(_require(key, str, "a key") for key in newest_sold),
        has_last_order=_require(value["has_last_order"], bool, "has_last_order"),
    )


def mark_headers(log: LogMark | None) -> dict[str, str]:
    """Returns the headers that name an order log in a call to its catalog."""
    if log is None:
        return {}
    return {"Store-Id": log.store} | last_order_headers(log.last_order)


def last_order_headers(key: str | None) -> dict[str, str]:
    """Returns the header with the key of the newest order, escaped: a key made by hand may have any character."""
    return {} if key is None else {"Last-Order": quote(key, safe=_UNESCAPED)}


def decode_last_order(headers: Headers) -> str | None:
    """Returns the key in the header of `last_order_headers`; None when the request has none. Raises Invalid."""
    text = headers.get("Last-Order")
    if text is None:
        return None
    # An escaped character has up to twelve: four bytes of UTF-8, each as %XX.
    return unquote(parse_key(text, called="Last-Order", max_characters=12 * MAX_KEY_CHARACTERS))


def decode_mark(headers: Headers) -> LogMark | None:
    """Returns the order log that calls; None when the request does not name it. Raises Invalid."""
    store = headers.get("Store-Id")
    return None if store is None else LogMark(store, decode_last_order(headers))


def _encode_error(error: StoreError) -> list[Any]:
    """Returns the status, the message and the Retry-After of an error.

    A Retry-After header would apply to the whole batch, so each error has its own value.
    """
    return [status_of(error), error.message, error.retry_after_s if isinstance(error, Unavailable) else None]


def _decode_error(value: Any) -> StoreError | None:
    """Returns the error of `_encode_error`; None if it is unknown. Raises ValueError, TypeError or Invalid."""
    status, message, retry_after_s = _require(value, list, "an error")
    error = decode_error(_require(status, int, "a status"), message)
    if isinstance(error, Unavailable) and retry_after_s is not None:
        error.retry_after_s = _require(retry_after_s, int, "Retry-After")
    return error


def _require_definite(error: StoreError | None) -> Refused | KeyReused:
    """Returns the error. Raises ValueError unless it is the definite outcome of a buy."""
    if not isinstance(error, Refused | KeyReused):
        raise ValueError(f"not a definite answer: {error!r}")
    return error
