"""The page of an order: what was bought, what was given back of it, and the form that gives pieces back."""

from urllib.parse import urlencode

from domain.errors import Invalid, KeyReused, OrderNotFound
from domain.owner import LoggedBuy, OwnerOrders, Selection
from domain.owner_json import encode_order
from domain.returns import OwnerReturns, Return
from domain.values import parse_note, parse_quantity, parse_whole_number
from wsgi_apps import wire
from wsgi_apps.base import Request, Rule
from wsgi_apps.errors import status_of
from wsgi_apps.pages.desk.encoding import encode_return
from wsgi_apps.pages.desk.fields import Fields, blaming, read_fields, read_query
from wsgi_apps.pages.desk.forms import Form, form_again
from wsgi_apps.pages.desk.orders import ORDERS
from wsgi_apps.pages.desk.view import ORDER_TIER, View, asking
from wsgi_apps.pages.templates import redirect
from wsgi_apps.reply import Reply


class OrderPage:
    """Shows an order, and gives pieces of it back."""

    def __init__(self, orders: OwnerOrders, returns: OwnerReturns, view: View) -> None:
        self._orders = orders
        self._returns = returns
        self._view = view

    def rules(self) -> list[Rule]:
        """Returns the rules of the page."""
        path, page = f"{ORDERS}/<number>", self._view.page
        return [
            Rule(path, methods=["GET"], endpoint=page(self.show), takes_query=True),
            Rule(f"{path}/returns", methods=["POST"], endpoint=page(self.give_back)),
        ]

    def show(self, request: Request, number: str) -> Reply:
        """Shows an order, and a return that was just made."""
        query = read_query(request, "returned")
        return self._show(request, self._order(number), Form(), made=query.get("returned"))

    def give_back(self, request: Request, number: str) -> Reply:
        """Gives pieces back: all that are left, unless the form or the program says how many."""
        fields = read_fields(request, "quantity", "note")
        order = self._order(number)
        try:
            asked = _parse_return(order.number, fields)
            with asking(ORDER_TIER), blaming("quantity"):  # so many are not left
                returned = self._returns.give_back(asked)
        except (Invalid, KeyReused) as error:
            if not request.wants_page:
                raise
            return self._show(request, order, form_again(fields, error), status=status_of(error))
        if not request.wants_page:
            return Reply({"data": wire.encode_returned(returned)})
        return redirect(f"{ORDERS}/{order.number}?{urlencode({'returned': fields.key})}")

    def _order(self, number: str) -> LoggedBuy:
        """Returns the order of this number. Raises OrderNotFound, Unavailable."""
        parsed = parse_whole_number(number)
        if parsed is None:
            raise OrderNotFound
        with asking(ORDER_TIER):
            found = self._orders.logged_buys(Selection(number=parsed), limit=1).buys
        if not found:
            raise OrderNotFound
        return found[0]

    def _show(
        self, request: Request, order: LoggedBuy, form: Form, *, made: str | None = None, status: int = 200
    ) -> Reply:
        with asking(ORDER_TIER):
            returns = self._orders.returns_of(order.number)
        return self._view.show(
            request,
            "order.html",
            lambda: {"data": encode_order(order) | {"returns": [encode_return(one) for one in returns]}},
            status=status,
            here=ORDERS,
            order=order,
            returns=returns,
            left=order.quantity - order.returned,
            form=form,
            made=next((one for one in returns if one.key == made), None),
        )


def _parse_return(number: int, fields: Fields) -> Return:
    """Returns the return that the fields ask for. Raises Invalid."""
    quantity = fields.parse("quantity", parse_quantity) if fields["quantity"] else None
    note = fields.parse("note", parse_note) if fields["note"].strip() else None
    return Return(fields.key, number, quantity, note)
