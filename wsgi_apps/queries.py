"""The questions that two tiers answer alike: the front end asks the tier behind it, that tier its store."""

from collections.abc import Callable

from domain.errors import Invalid, OrderNotFound
from domain.protocols import Catalog
from domain.values import Order, parse_name, parse_whole_number
from wsgi_apps.base import Reply, Request
from wsgi_apps.wire import order_json, page_json, product_json

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000


class ProductQueries:
    """One product, or a page of them."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def product(self, _request: Request, name: str) -> Reply:
        return Reply({"data": product_json(self._catalog.product(parse_name(name)))})

    def products(self, request: Request) -> Reply:
        given = request.parameters("q", "limit", "after")
        q, after = (parse_name(given[name]) if given.get(name) else "" for name in ("q", "after"))
        limit = parse_whole_number(given.get("limit", str(DEFAULT_LIMIT)))
        if limit is None or not 1 <= limit <= MAX_LIMIT:
            raise Invalid(f"limit is not a whole number from 1 to {MAX_LIMIT}")
        return Reply(page_json(self._catalog.products(q=q, after=after, limit=limit)))


class OrderQueries:
    """One order. `order` finds it by its number, or raises OrderNotFound."""

    def __init__(self, order: Callable[[int], Order]) -> None:
        self._order = order

    def order(self, _request: Request, number: str) -> Reply:
        parsed = parse_whole_number(number)
        if parsed is None:
            raise OrderNotFound
        return Reply({"data": order_json(self._order(parsed))})
