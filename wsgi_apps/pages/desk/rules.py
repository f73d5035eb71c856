"""The URL map of the desk's pages."""

from domain.owner import OwnerCatalog, OwnerOrders
from wsgi_apps.base import Request, Rule
from wsgi_apps.login import HOME
from wsgi_apps.pages.desk.books import BooksPage
from wsgi_apps.pages.desk.orders import OrderPages
from wsgi_apps.pages.desk.product import ProductPage
from wsgi_apps.pages.desk.stock import STOCK, StockPage
from wsgi_apps.pages.desk.takings import TakingsPage
from wsgi_apps.pages.desk.view import View
from wsgi_apps.pages.templates import Templates, redirect
from wsgi_apps.reply import Reply


def desk_rules(
    catalog: OwnerCatalog, orders: OwnerOrders, templates: Templates, currency: str | None = None
) -> list[Rule]:
    """Returns the rules of the owner's pages. The templates need the names of formats.template_names."""
    view = View(templates)
    return [
        Rule(HOME, methods=["GET"], endpoint=_go_to_stock),
        *StockPage(catalog, view).rules(),
        *ProductPage(catalog, view).rules(),
        *OrderPages(orders, view).rules(),
        *TakingsPage(orders, view, currency).rules(),
        *BooksPage(orders, view).rules(),
    ]


def _go_to_stock(_request: Request) -> Reply:
    return redirect(STOCK)
