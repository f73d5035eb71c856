"""The page of the stock: all products, the one that runs out first at the top, each with the forms that change it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode

from domain.errors import Invalid, KeyReused
from domain.owner import OwnerCatalog, StockedProduct
from domain.values import parse_name, parse_whole_number
from wsgi_apps.base import Request, Rule
from wsgi_apps.errors import status_of
from wsgi_apps.pages.desk.changes import PARAMETERS, add, find_confirmation
from wsgi_apps.pages.desk.encoding import encode_product
from wsgi_apps.pages.desk.fields import PAGE_ROWS, Fields, read_fields, read_query
from wsgi_apps.pages.desk.forms import Form, form_again
from wsgi_apps.pages.desk.view import CATALOG, View, asking
from wsgi_apps.pages.templates import redirect
from wsgi_apps.queries import parse_limit
from wsgi_apps.reply import Reply

STOCK = "/stock"
# Each product has four forms, so the page of a browser has fewer rows than others.
_ROWS = 25
# The parameters of a page of the stock that say which one it is.
_PLACE = ("q", "retired", "limit", "after")


@dataclass(frozen=True, slots=True)
class _Found:
    """The products of a page, and the `after` of the next one; None on the last page."""

    products: Sequence[StockedProduct]
    after: str | None


@dataclass(frozen=True, slots=True)
class _Forms:
    """The forms of the page that have a problem: the one that adds a product, and those of one product by action."""

    add: Form = field(default_factory=Form)
    product: str = ""
    changes: Mapping[str, Form] = field(default_factory=dict)

    def of(self, product: StockedProduct) -> dict[str, Form]:
        """Returns the forms in the row of a product, by action."""
        given = self.changes if product.name == self.product else {}
        return {action: given.get(action, Form()) for action in ("restock", "writeoff", "correct", "price")}


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
        return self._show(request, query, _Forms())

    def add(self, request: Request) -> Reply:
        """Adds a product, and shows it in the stock."""
        fields = read_fields(request, "name", "price", "quantity")
        try:
            change = add(self._catalog, fields)
        except (Invalid, KeyReused) as error:
            if not request.wants_page:
                raise
            return self._show(request, {}, _Forms(add=form_again(fields, error)), status_of(error))
        if not request.wants_page:
            return Reply(change.encode())
        found = change.confirmation
        return redirect(f"{STOCK}?{urlencode(found.parameters)}" if found else STOCK)

    def show_again(self, request: Request, name: str, fields: Fields, error: Invalid) -> Reply | None:
        """Shows the page of the stock that a form of a product was on, with its problem.

        Returns None for a form of another page, and when the product stands on this one no more.
        """
        path, _, query = fields["back"].partition("?")
        if path != STOCK:
            return None
        here = {key: value for key, value in parse_qsl(query) if key in _PLACE}
        found = self._find(request, here)
        if not any(product.name == name and not product.retired for product in found.products):
            return None
        forms = _Forms(product=name, changes={fields["action"]: form_again(fields, error)})
        return self._render(request, here, found, forms, status_of(error))

    def _show(self, request: Request, query: Mapping[str, str], forms: _Forms, status: int = 200) -> Reply:
        return self._render(request, query, self._find(request, query), forms, status)

    def _find(self, request: Request, query: Mapping[str, str]) -> _Found:
        """Returns the products of a page."""
        limit = parse_limit(query.get("limit", str(_ROWS if request.wants_page else PAGE_ROWS)))
        q, retired, after = query.get("q", ""), "retired" in query, _cursor(query.get("after"))
        with asking(CATALOG):
            # One more product than the page has says whether there is another page.
            found = self._catalog.stock(q=q, retired=retired, after=after, limit=limit + 1)
        products = found[:limit]
        return _Found(products, f"{products[-1].quantity},{products[-1].name}" if len(found) > limit else None)

    def _render(self, request: Request, query: Mapping[str, str], found: _Found, forms: _Forms, status: int) -> Reply:
        confirmation = None
        if "changed" in query:
            with asking(CATALOG):
                confirmation = find_confirmation(self._catalog, parse_name(query["changed"]), query)
        here = {name: text for name, text in query.items() if name in _PLACE}
        kept = {name: text for name, text in here.items() if name != "after"}
        return self._view.show(
            request,
            "stock.html",
            lambda: _encode(found.products, found.after),
            status=status,
            here=STOCK,
            q=query.get("q", ""),
            retired="retired" in query,
            rows=[(product, forms.of(product)) for product in found.products],
            next_page=None if found.after is None else f"{STOCK}?{urlencode({**kept, 'after': found.after})}",
            first_page=f"{STOCK}?{urlencode(kept)}" if "after" in query else None,
            back=f"{STOCK}?{urlencode(here)}" if here else STOCK,
            confirmation=confirmation and confirmation.text,
            form=forms.add,
            has_problem=status >= 400,
        )


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
