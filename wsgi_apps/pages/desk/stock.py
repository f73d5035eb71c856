"""The page of the stock: all products, the one that runs out first at the top, each with the forms that change it."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from domain.errors import Invalid, KeyReused
from domain.owner import OwnerCatalog, StockedProduct
from domain.values import parse_name, parse_whole_number
from wsgi_apps.base import Request, Rule
from wsgi_apps.errors import status_of
from wsgi_apps.pages.desk.changes import PARAMETERS, add, find_confirmation
from wsgi_apps.pages.desk.encoding import encode_product
from wsgi_apps.pages.desk.fields import PAGE_ROWS, read_fields, read_query
from wsgi_apps.pages.desk.forms import Form, form_again
from wsgi_apps.pages.desk.view import CATALOG, View, asking
from wsgi_apps.pages.templates import redirect
from wsgi_apps.queries import parse_limit
from wsgi_apps.reply import Reply

STOCK = "/stock"
# Each product has four forms, so the page of a browser has fewer rows than others.
_ROWS = 25


class StockPage:
    """Shows the stock, and adds products."""

    def __init__(self, catalog: OwnerCatalog, view: View) -> None:
        self._catalog = catalog
        self._view = view

    def rules(self) -> list[Rule]:
        """Returns the rules of the page."""
        return [
            Rule(STOCK, methods=["GET"], endpoint=self._view.page(self.show), takes_query=True),
            Rule(STOCK, methods=["POST"], endpoint=self._view.page(self.add)),
        ]

    def show(self, request: Request) -> Reply:
        """Shows a page of the stock, and what the books say of a change that was just made."""
        query = read_query(request, "q", "retired", "after", "limit", *PARAMETERS)
        return self._show(request, query, Form())

    def add(self, request: Request) -> Reply:
        """Adds a product, and shows it in the stock."""
        fields = read_fields(request, "name", "price", "quantity")
        try:
            change = add(self._catalog, fields)
        except (Invalid, KeyReused) as error:
            if not request.wants_page:
                raise
            return self._show(request, {}, form_again(fields, error), status_of(error))
        if not request.wants_page:
            return Reply(change.encode())
        found = change.confirmation
        return redirect(f"{STOCK}?{urlencode(found.parameters)}" if found else STOCK)

    def _show(self, request: Request, query: dict[str, str], form: Form, status: int = 200) -> Reply:
        q, retired = query.get("q", ""), "retired" in query
        limit = parse_limit(query.get("limit", str(_ROWS if request.wants_page else PAGE_ROWS)))
        with asking(CATALOG):
            # One more product than the page has says whether there is another page.
            found = self._catalog.stock(q=q, retired=retired, after=_cursor(query.get("after")), limit=limit + 1)
            confirmation = None
            if "changed" in query:
                confirmation = find_confirmation(self._catalog, parse_name(query["changed"]), query)
        products = found[:limit]
        after = f"{products[-1].quantity},{products[-1].name}" if len(found) > limit else None
        here = {name: text for name, text in query.items() if name in ("q", "retired", "limit", "after")}
        kept = {name: text for name, text in here.items() if name != "after"}
        return self._view.show(
            request,
            "stock.html",
            lambda: _encode(products, after),
            status=status,
            here=STOCK,
            q=q,
            retired=retired,
            rows=[(product, {action: Form() for action in ("restock", "writeoff", "correct", "price")})
                  for product in products],
            next_page=None if after is None else f"{STOCK}?{urlencode({**kept, 'after': after})}",
            first_page=f"{STOCK}?{urlencode(kept)}" if "after" in query else None,
            back=f"{STOCK}?{urlencode(here)}" if here else STOCK,
            confirmation=confirmation and confirmation.text,
            form=form,
        )  # fmt: skip


def _encode(products: Sequence[StockedProduct], after: str | None) -> dict[str, Any]:
    return {"data": [encode_product(product) for product in products], "next": after}


def _cursor(text: str | None) -> tuple[int, str] | None:
    """Returns the stock and the name of the last product of the page before. Raises Invalid."""
    if text is None:
        return None
    quantity, comma, name = text.partition(",")
    number = parse_whole_number(quantity.removeprefix("-"))
    if number is None or not comma:
        raise Invalid("after is not the 'next' of a page")
    # A stock below 0 was made by hand.
    return -number if quantity.startswith("-") else number, parse_name(name)
