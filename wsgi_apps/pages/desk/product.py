"""The page of a product: its stock and price, the forms that change them, its ledger, its history and a chart."""

from collections.abc import Sequence
from datetime import datetime
from urllib.parse import parse_qsl, quote, urlencode

from domain.errors import Invalid, KeyReused, ProductNotFound, StoreError
from domain.owner import LedgerEntry, OwnerCatalog
from domain.values import parse_name
from wsgi_apps.base import Request, Rule
from wsgi_apps.errors import status_of
from wsgi_apps.pages.desk.changes import ACTIONS, PARAMETERS, Confirmation, change, find_confirmation
from wsgi_apps.pages.desk.chart import Chart, Point, draw_steps
from wsgi_apps.pages.desk.encoding import encode_entry, encode_product
from wsgi_apps.pages.desk.fields import PAGE_ROWS, Fields, parse_entry, read_fields, read_query
from wsgi_apps.pages.desk.formats import number, pieces
from wsgi_apps.pages.desk.forms import Form, form_again
from wsgi_apps.pages.desk.login import local_path
from wsgi_apps.pages.desk.stock import STOCK, StockPage
from wsgi_apps.pages.desk.view import CATALOG, View, asking
from wsgi_apps.pages.templates import redirect
from wsgi_apps.queries import parse_limit
from wsgi_apps.reply import Reply

# Entries of the ledger in the chart: as many as its drawing has places for.
CHART_ENTRIES = 500


class ProductPage:
    """Shows a product, and changes it."""

    def __init__(self, catalog: OwnerCatalog, stock: StockPage, view: View) -> None:
        self._catalog = catalog
        self._stock = stock
        self._view = view

    def rules(self) -> list[Rule]:
        """Returns the rules of the page."""
        path = "/products/<name>"
        return [
            Rule(path, methods=["GET"], endpoint=self._view.page(self.show), takes_query=True),
            Rule(path, methods=["POST"], endpoint=self._view.page(self.change)),
            Rule(f"{path}/retire", methods=["GET"], endpoint=self._view.page(self.confirm_retirement)),
        ]

    def show(self, request: Request, name: str) -> Reply:
        """Shows a product, also a retired one."""
        query = read_query(request, "before", "limit", *PARAMETERS)
        return self._show(request, parse_name(name), query, {})

    def change(self, request: Request, name: str) -> Reply:
        """Changes a product, and goes back to the page that the form was on."""
        product = parse_name(name)
        fields = read_fields(request, "action", "quantity", "price", "note", "back")
        try:
            made = change(self._catalog, product, fields)
        except (Invalid, KeyReused, ProductNotFound) as error:
            if not request.wants_page or fields["action"] not in ACTIONS:
                raise
            return self._show_again(request, product, fields, error)
        if not request.wants_page:
            return Reply(made.encode())
        return redirect(_page_after(fields["back"] or product_path(product), made.confirmation))

    def confirm_retirement(self, request: Request, name: str) -> Reply:
        """Asks whether a product shall be retired, which is for good."""
        with asking(CATALOG):
            product = self._catalog.stocked_product(parse_name(name))
        return self._view.show(
            request,
            "retire.html",
            lambda: {"data": encode_product(product)},
            here=STOCK,
            product=product,
            form=Form(),
        )

    def _show_again(self, request: Request, name: str, fields: Fields, error: StoreError) -> Reply:
        """Shows the problem of a form beside it: in the stock, or else with the product.

        The page of the product has the ledger, which says what was done before. Raises the error when there is no such
        product.
        """
        if isinstance(error, Invalid) and (shown := self._stock.show_again(request, name, fields, error)):
            return shown
        forms = {fields["action"]: form_again(fields, error)}
        return self._show(request, name, {}, forms, status_of(error))

    def _show(
        self, request: Request, name: str, query: dict[str, str], forms: dict[str, Form], status: int = 200
    ) -> Reply:
        limit, before = parse_limit(query.get("limit", str(PAGE_ROWS))), parse_entry(query, "before")
        with asking(CATALOG):
            product = self._catalog.stocked_product(name)
            # One more entry than the page has says whether there is another page.
            newest = self._catalog.ledger(name, limit=max(CHART_ENTRIES, limit + 1))
            entries = newest
            if before is not None:
                entries = self._catalog.ledger(name, before=before, limit=limit + 1)
            history = self._catalog.history(name)
            confirmation = find_confirmation(self._catalog, name, query)
        older = entries[limit - 1].entry if len(entries) > limit else None
        return self._view.show(
            request,
            "product.html",
            lambda: {
                "data": encode_product(product)
                | {
                    "ledger": [encode_entry(entry) for entry in entries[:limit]],
                    "history": [encode_entry(entry) for entry in history],
                },
                "next": older,
            },
            status=status,
            here=STOCK,
            product=product,
            forms={action: forms.get(action, Form()) for action in ACTIONS},
            entries=entries[:limit],
            history=history,
            confirmation=confirmation and confirmation.text,
            chart=draw_stock(name, newest[:CHART_ENTRIES]),
            next_page=None if older is None else f"{product_path(name)}?{urlencode({'before': older})}#ledger",
            first_page=None if before is None else f"{product_path(name)}#ledger",
        )


def product_path(name: str) -> str:
    """Returns the path of a product's page."""
    return f"/products/{quote(name, safe='')}"


def draw_stock(name: str, newest: Sequence[LedgerEntry]) -> str:
    """Returns the chart of a product's stock, from the newest entries of its ledger, the newest first."""
    entries = list(reversed(newest))
    # On one day, the hours tell the ends of the chart apart.
    label = slice(11, 16) if entries and entries[0].time[:10] == entries[-1].time[:10] else slice(10)
    points = [
        Point(
            datetime.fromisoformat(entry.time).timestamp(),
            entry.balance,
            entry.time[label],
            f"{entry.time[:16].replace('T', ' ')}: {pieces(entry.balance)}",
        )
        for entry in entries
    ]
    # A clock may have been set back. The line goes by the ledger, and never to the left.
    for index in range(1, len(points)):
        if points[index].at < points[index - 1].at:
            points[index] = Point(points[index - 1].at, points[index].value, points[index].label, points[index].title)
    if not points:
        return ""
    first, last = points[0].value, points[-1].value
    low, high = min(point.value for point in points), max(point.value for point in points)
    desc = (
        f"From {entries[0].time[:10]} to {entries[-1].time[:10]} (UTC) the stock went from {pieces(first)} to "
        f"{pieces(last)}; the least was {number(low)}, the most {number(high)}. The ledger has each change."
    )
    return draw_steps(Chart("stock-chart", f"Stock of {name}", desc, number), points)


def _page_after(back: str, confirmation: Confirmation | None) -> str:
    """Returns the path of the page that confirms a change: the one with its form, at the same place."""
    path, _, query = local_path(back).partition("?")
    kept = [(name, value) for name, value in parse_qsl(query) if name not in PARAMETERS]
    values = [*kept, *(confirmation.parameters if confirmation else {}).items()]
    return f"{path}?{urlencode(values)}" if values else path
