"""The URL map of the desk's pages."""

from dataclasses import dataclass

from domain.owner import OwnerCatalog, OwnerOrders
from domain.returns import OwnerReturns
from wsgi_apps.base import Request, Rule
from wsgi_apps.pages.desk.books import BooksPage
from wsgi_apps.pages.desk.login import HOME
from wsgi_apps.pages.desk.order import OrderPage
from wsgi_apps.pages.desk.orders import OrderPages
from wsgi_apps.pages.desk.product import ProductPage
from wsgi_apps.pages.desk.stock import STOCK, StockPage
from wsgi_apps.pages.desk.takings import TakingsPage
from wsgi_apps.pages.desk.view import View
from wsgi_apps.pages.templates import Templates, redirect
from wsgi_apps.reply import Reply


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of the store that the desk asks."""

    catalog: OwnerCatalog
    orders: OwnerOrders
    returns: OwnerReturns


def desk_rules(services: Services, templates: Templates, currency: str | None) -> list[Rule]:
    """Returns the rules of the owner's pages. The templates need the names of formats.template_names."""
    view = View(templates)
    stock = StockPage(services.catalog, view)
    return [
        Rule(HOME, methods=["GET"], endpoint=_go_to_stock),
        *stock.rules(),
        *ProductPage(services.catalog, stock, view).rules(),
        *OrderPages(services.orders, view).rules(),
        *OrderPage(services.orders, services.returns, view).rules(),
        *TakingsPage(services.orders, view, currency).rules(),
        *BooksPage(services.orders, view).rules(),
    ]


def _go_to_stock(_request: Request) -> Reply:
    return redirect(STOCK)
