"""The pages of the orders: those of a selection, newest first, the same as CSV, and a single order."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from domain.errors import Invalid, OrderNotFound
from domain.owner import REFUSED_NUMBER, BuysPage, OwnerOrders, Selection
from domain.owner_json import encode_cursor, parse_cursor
from domain.values import parse_key, parse_name, parse_whole_number
from wsgi_apps.base import Request, Rule
from wsgi_apps.pages.desk.csv_export import csv_reply, stream_orders
from wsgi_apps.pages.desk.encoding import encode_buy
from wsgi_apps.pages.desk.fields import day_after, parse_day, parse_limit, read_query
from wsgi_apps.pages.desk.view import ORDER_TIER, View, asking
from wsgi_apps.reply import Reply

ORDERS = "/orders"
# What a selection is made of. `from` and `to` are days, and both are included.
SELECTORS = ("number", "product", "key", "from", "to")


class OrderPages:
    """Shows the order log."""

    def __init__(self, orders: OwnerOrders, view: View) -> None:
        self._orders = orders
        self._view = view

    def rules(self) -> list[Rule]:
        """Returns the rules of the pages."""
        page = self._view.page
        return [
            Rule(ORDERS, methods=["GET"], endpoint=page(self.list), takes_query=True),
            Rule(f"{ORDERS}.csv", methods=["GET"], endpoint=page(self.export), takes_query=True),
            Rule(f"{ORDERS}/<number>", methods=["GET"], endpoint=page(self.show)),
        ]

    def list(self, request: Request) -> Reply:
        """Shows a page of the orders of a selection, the refused ones among them."""
        query = read_query(request, *SELECTORS, "before", "limit")
        limit = parse_limit(query.get("limit"))
        problem, found = "", BuysPage((), None)
        before = parse_cursor(query["before"]) if "before" in query else None
        try:
            selection = parse_selection(query)
        except Invalid as error:
            if not request.wants_page:
                raise
            problem = error.message
        else:
            with asking(ORDER_TIER):
                found = self._orders.logged_buys(selection, before=before, limit=limit)
        older = None if found.next is None else encode_cursor(found.next)
        selectors = {name: query[name] for name in SELECTORS if name in query}
        return self._view.show(
            request,
            "orders.html",
            lambda: {"data": [encode_buy(buy) for buy in found.buys], "next": older},
            status=400 if problem else 200,
            here=ORDERS,
            query=query,
            problem=problem,
            buys=found.buys,
            is_selection=bool(selectors),
            csv=_link(f"{ORDERS}.csv", selectors),
            next_page=None if older is None else _link(ORDERS, {**selectors, "before": older}),
            first_page=None if before is None else _link(ORDERS, selectors),
        )

    def export(self, request: Request) -> Reply:
        """Sends a selection as CSV, however long it is. The first page is read before the reply begins."""
        selection = parse_selection(read_query(request, *SELECTORS))
        with asking(ORDER_TIER):
            chunks = stream_orders(self._orders, selection)
        return csv_reply("orders.csv", chunks)

    def show(self, request: Request, number: str) -> Reply:
        """Shows an order."""
        order = parse_whole_number(number)
        if order is None:
            raise OrderNotFound
        with asking(ORDER_TIER):
            found = self._orders.logged_buys(Selection(number=order), limit=1).buys
        if not found:
            raise OrderNotFound
        return self._view.show(
            request, "order.html", lambda: {"data": encode_buy(found[0])}, here=ORDERS, order=found[0]
        )  # fmt: skip


def parse_selection(query: Mapping[str, str]) -> Selection:
    """Returns the selection of a query string. Raises Invalid."""
    since = parse_day(query["from"], "from") if "from" in query else None
    last = parse_day(query["to"], "to") if "to" in query else None
    if since and last and last < since:
        raise Invalid(f"to, {last}, is before from, {since}")
    return Selection(
        number=_parse_number(query["number"]) if "number" in query else None,
        product=parse_name(query["product"]) if "product" in query else None,
        key=parse_key(query["key"], "the key") if "key" in query else None,
        since=None if since is None else since.isoformat(),
        until=None if last is None else day_after(last),
    )


def _parse_number(text: str) -> int:
    """Returns the number of an order, or that of all refused buys. Raises Invalid."""
    if text.replace("−", "-") == str(REFUSED_NUMBER):
        return REFUSED_NUMBER
    number = parse_whole_number(text)
    if number is None:
        raise Invalid(f"the number is neither a whole number nor {REFUSED_NUMBER}, which means refused")
    return number


def _link(path: str, query: Mapping[str, Any]) -> str:
    return f"{path}?{urlencode(query)}" if query else path
