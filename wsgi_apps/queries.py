"""The questions that two tiers answer alike: the front end asks the tier behind it, that tier its store."""

from domain.errors import Invalid, OrderNotFound
from domain.protocols import Catalog, Orders
from domain.values import parse_name, parse_whole_number
from wsgi_apps.base import Request
from wsgi_apps.reply import Reply
from wsgi_apps.wire import encode_order

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000


def products(catalog: Catalog, request: Request) -> Reply:
    """A page of products."""
    given = request.parameters("q", "limit", "after")
    q, after = (parse_name(given[name]) if given.get(name) else "" for name in ("q", "after"))
    limit = parse_whole_number(given.get("limit", str(DEFAULT_LIMIT)))
    if limit is None or not 1 <= limit <= MAX_LIMIT:
        raise Invalid(f"limit is not a whole number from 1 to {MAX_LIMIT}")
    return Reply(catalog.products(q=q, after=after, limit=limit))


def order(orders: Orders, number: str, key: str | None) -> Reply:
    """One order by its number; with a key, only the order of that key."""
    parsed = parse_whole_number(number)
    if parsed is None:
        raise OrderNotFound
    return Reply({"data": encode_order(orders.order(parsed, key))})
