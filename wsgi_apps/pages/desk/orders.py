"""The page of the orders of a selection, the newest first, and the same orders as CSV."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from domain.errors import Invalid
from domain.owner import BuysPage, OwnerOrders, Selection
from domain.owner_json import encode_cursor, encode_order, parse_cursor
from domain.selections import day_after, parse_selection
from wsgi_apps.base import Request, Rule
from wsgi_apps.pages.desk.csv_export import csv_reply, stream_orders
from wsgi_apps.pages.desk.fields import PAGE_ROWS, parse_day_range, read_query
from wsgi_apps.pages.desk.view import ORDER_TIER, View, asking
from wsgi_apps.queries import parse_limit
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
        ]

    def list(self, request: Request) -> Reply:
        """Shows a page of the orders of a selection, the refused ones among them."""
        query = read_query(request, *SELECTORS, "before", "limit")
        limit = parse_limit(query.get("limit", str(PAGE_ROWS)))
        problem, found = "", BuysPage((), None)
        before = parse_cursor(query["before"]) if "before" in query else None
        try:
            selection = _selection(query)
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
            lambda: {"data": [encode_order(buy) for buy in found.buys], "next": older},
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
        selection = _selection(read_query(request, *SELECTORS))
        with asking(ORDER_TIER):
            chunks = stream_orders(self._orders, selection)
        return csv_reply("orders.csv", chunks)


def _selection(query: Mapping[str, str]) -> Selection:
    """Returns the selection of a query string, whose days are both included. Raises Invalid."""
    since, last = parse_day_range(query)
    given = {name: query[name] for name in ("product", "key") if name in query}
    if "number" in query:
        given["number"] = query["number"].replace("−", "-")  # as the page shows the number of a refused buy
    selection = parse_selection(given)
    return replace(
        selection,
        since=None if since is None else since.isoformat(),
        until=None if last is None else day_after(last),
    )


def _link(path: str, query: Mapping[str, Any]) -> str:
    return f"{path}?{urlencode(query)}" if query else path
