"""The forms in which values travel as JSON, each written and read here, so that both ends of a call agree."""

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, unquote

from werkzeug.datastructures import Headers

from domain.checkout import MAX_BATCH
from domain.errors import Invalid, KeyReused, ProductNotFound, Refused, StoreError, Unavailable
from domain.pairing import Introduction, LogMark
from domain.protocols import Placed, Sale
from domain.values import MAX_KEY_CHARACTERS, Buy, Order, Product, Sold, check_quantity, parse_key, parse_name
from wsgi_apps.errors import error_json, error_of, status_of
from wsgi_apps.json_body import check, members, parse_object

# So many of the longest names fit the 64 KiB that a tier accepts as a body.
MAX_NAMES = 240

# More than a page of the most products takes, all of the longest names and at the highest price.
MAX_PAGE_BYTES = 512 * 1024

# Of a key in a header: all that a shopper's key may have, but for the % that begins an escape.
_AS_THEY_ARE = "!\"#$&'()*+/:;<=>?@[\\]^`{|}"

# Cents are whole numbers inside the store and become a number such as 25.99 only here, on the way out.


def product_json(product: Product) -> dict[str, Any]:
    return {"name": product.name, "price": product.price_cents / 100, "quantity": product.quantity}


def product_of(value: Any) -> Product:
    return Product(value["name"], round(value["price"] * 100), value["quantity"])


def page_of(body: bytes) -> bytes:
    """The page of products in a reply, as it is: who passes it on need not decode it. Raises ValueError.

    It is looked at closely enough to tell a page from what another program at the catalog's address would say.
    """
    page = body.rstrip(b"\n")
    if len(page) > MAX_PAGE_BYTES or not (page.startswith(b'{"data": [') and page.endswith(b"}")):
        raise ValueError(f"not a page of products: {page[:40]!r}")
    return page


def order_json(order: Order) -> dict[str, Any]:
    return {
        "order_number": str(order.number),
        "name": order.product,
        "quantity": order.quantity,
        "price": order.price_cents / 100,
        "time": order.time,
    }


def order_of(value: Any) -> Order:
    price_cents = round(value["price"] * 100)
    return Order(int(value["order_number"]), value["name"], value["quantity"], price_cents, value["time"])


def placed_json(number: int) -> dict[str, Any]:
    return {"data": {"order_number": str(number)}}


def buys_body(buys: Sequence[Buy]) -> bytes:
    sales = [{"key": buy.key, "name": buy.product, "quantity": buy.quantity} for buy in buys]
    return json.dumps({"sales": sales}, ensure_ascii=False).encode()


def buys_of(body: bytes) -> list[Buy]:
    """The buys in a request's body. Raises Invalid."""
    [sales] = members(parse_object(body), "the body", sales=list)
    if len(sales) > MAX_BATCH:
        raise Invalid(f"more than {MAX_BATCH} sales in a call")
    return [_buy_of(sale) for sale in sales]


def _buy_of(value: object) -> Buy:
    key, name, quantity = members(value, "a sale", key=str, name=str, quantity=int)
    return Buy(parse_key(key), parse_name(name), check_quantity(quantity))


def names_body(names: Sequence[str]) -> bytes:
    return json.dumps({"names": list(names)}, ensure_ascii=False).encode()


def names_of(body: bytes) -> list[str]:
    """The names in a request's body. Raises Invalid."""
    [names] = members(parse_object(body), "the body", names=list)
    if len(names) > MAX_NAMES:
        raise Invalid(f"more than {MAX_NAMES} names in a call")
    return [parse_name(check(name, str, "a name")) for name in names]


def found_json(found: Product | ProductNotFound) -> dict[str, Any] | None:
    return None if isinstance(found, ProductNotFound) else product_json(found)


def found_of(value: Any) -> Product | ProductNotFound:
    return ProductNotFound() if value is None else product_of(value)


def sale_json(sale: Sale | Unavailable) -> dict[str, Any]:
    return {"price_cents": sale.price_cents} if isinstance(sale, Sold) else _error_json(sale)


def sale_of(value: Any) -> Sale:
    """How one buy ended. Raises ValueError for anything but a definite answer."""
    if "price_cents" in value:
        return Sold(check(value["price_cents"], int, "price_cents"))
    return _no_of(value)


def introduction_json(catalog: Introduction) -> dict[str, Any]:
    return {"id": catalog.id, "newest_sold": catalog.newest_sold, "has_last_order": catalog.has_last_order}


def introduction_of(value: Any) -> Introduction:
    """Raises ValueError for anything else."""
    newest_sold = check(value["newest_sold"], list, "newest_sold")
    return Introduction(
        id=check(value["id"], str, "id"),
        newest_sold=tuple(check(key, str, "a key") for key in newest_sold),
        has_last_order=check(value["has_last_order"], bool, "has_last_order"),
    )


def mark_headers(log: LogMark | None) -> dict[str, str]:
    """The headers by which an order log tells of itself in a call to its catalog."""
    if log is None:
        return {}
    return {"Store-Id": log.store} | last_order_headers(log.last_order)


def last_order_headers(key: str | None) -> dict[str, str]:
    """The key of the newest order. The owner may have made it by hand, of characters that no header can carry."""
    return {} if key is None else {"Last-Order": quote(key, safe=_AS_THEY_ARE)}


def last_order_of(headers: Headers) -> str | None:
    """The same key. Raises Invalid."""
    text = headers.get("Last-Order")
    return None if text is None else unquote(parse_key(text, called="Last-Order", most=12 * MAX_KEY_CHARACTERS))


def mark_of(headers: Headers) -> LogMark | None:
    """The order log that asks; None when it does not tell. Raises Invalid."""
    store = headers.get("Store-Id")
    return None if store is None else LogMark(store, last_order_of(headers))


def placed_in_batch_json(placed: Placed) -> dict[str, Any]:
    return {"order_number": str(placed)} if isinstance(placed, int) else _error_json(placed)


def placed_in_batch_of(value: Any) -> Placed:
    """How one buy ended, or that it has no answer now. Raises ValueError for anything else."""
    if "order_number" in value:
        return int(value["order_number"])
    error = _error_of(value)
    if not isinstance(error, Unavailable):
        return _no_of(value)
    retry_after_s = value["error"].get("retry_after_s")
    error.retry_after_s = None if retry_after_s is None else check(retry_after_s, int, "retry_after_s")
    return error


def _error_json(error: StoreError) -> dict[str, Any]:
    body = error_json(status_of(error), error.message)
    if isinstance(error, Unavailable) and error.retry_after_s is not None:
        # A header would speak of the whole batch.
        body["error"]["retry_after_s"] = error.retry_after_s
    return body


def _no_of(value: Any) -> Refused | KeyReused:
    error = _error_of(value)
    if not isinstance(error, Refused | KeyReused):
        raise ValueError(f"not a definite answer: {value!r}")
    return error


def _error_of(value: Any) -> StoreError | None:
    return error_of(value["error"]["code"], value["error"]["message"])
