"""Buys by a form, and shows what came of it: a receipt, a refusal, or that the outcome is not known yet.

The key in the form decides. A form that is sent twice, sent again after Back, or sent after a lost answer buys once,
and has one receipt. While the outcome is unknown, the page asks again by itself under the same key.
"""

from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from domain.errors import Invalid, KeyReused, OutOfStock, Refused, Unavailable
from domain.values import MAX_QUANTITY, Buy, KnownBuy, Order, parse_key, parse_name, parse_quantity, parse_whole_number
from wsgi_apps.base import Request
from wsgi_apps.errors import status_of
from wsgi_apps.pages.shop.attempts import Attempt, Attempts
from wsgi_apps.pages.shop.words import receipt_path
from wsgi_apps.pages.templates import Templates, redirect
from wsgi_apps.reply import Deferred, Reply

# A page asks again after this time when the store does not say when. It is long enough to read the page.
ASK_AGAIN_S = 2

# The words for a wrong number of pieces that a shopper reads. The API has other words, which programs match.
WRONG_QUANTITY = "Enter a whole number, 1 or more."
TOO_MANY = f"Enter a whole number, {MAX_QUANTITY:,} or less."


class Buying:
    """The form that buys, and the receipts."""

    def __init__(self, attempts: Attempts, templates: Templates) -> None:
        self._attempts = attempts
        self._templates = templates

    def buy(self, request: Request, name: str) -> Reply | Deferred[Attempt]:
        """Buys what the form says, once for its key, and sends the browser to the receipt."""
        try:
            key = parse_key(request.form_field("key"), called="the key of the form")
            product = parse_name(name)
        except Invalid as error:
            message = f"The order cannot be placed: {error.message}."
            return self._show("invalid", HTTPStatus.BAD_REQUEST, message=message, product=name)
        number = parse_whole_number(request.form_field("quantity"))
        if number is None or not 1 <= number <= MAX_QUANTITY:
            message = WRONG_QUANTITY if number is None or number < 1 else TOO_MANY
            return self._show("invalid", HTTPStatus.BAD_REQUEST, message=message, product=name)
        buy = Buy(key, product, number)

        # The log is asked first, so that the receipt can say that nothing was bought a second time.
        attempt = self._attempts.ask(key, lambda known: None if known and known.outcome is not None else buy)
        return Deferred(attempt, lambda attempt: self._show_bought(buy, attempt))

    def receipt(self, request: Request, key: str) -> Reply | Deferred[Attempt]:
        """Shows what the store knows of a key. For the page of an unknown outcome it also buys.

        That page asks for this address, with product and pieces, when it has no JavaScript. If the store does not know
        the key, the buy has never arrived, and is placed now. A GET may do so only where the shop's own page asks, on
        which the visitor has sent the form before. The browser says so in Sec-Fetch-Site, which no page can change.
        Pages of other sites can make a browser open any address, by a link or an image, and an address may come from
        anybody. Those buy nothing: the visitor gets a button.
        """
        try:
            parse_key(key)
        except Invalid:
            return self._show("no_receipt", HTTPStatus.NOT_FOUND)
        buy = _buy_in_address(request, key)
        is_own = _is_asked_by_own_page(request)

        def show(attempt: Attempt) -> Reply:
            if attempt.known is not None:
                return self._show_known(attempt.known, is_again=bool(request.query_field("again")))
            if isinstance(attempt.placed, Unavailable):
                if buy is not None and not is_own:
                    return self._offer_to_send_again(buy, attempt.placed)
                return self._show_unknown(key, buy, attempt.placed)
            if buy is None:
                return self._show("no_receipt", HTTPStatus.NOT_FOUND)
            return self._show_bought(buy, attempt) if is_own else self._offer_to_send_again(buy)

        return Deferred(self._attempts.ask(key, lambda known: buy if known is None and is_own else None), show)

    def _show_bought(self, buy: Buy, attempt: Attempt) -> Reply:
        """Returns the reply to a buy that was sent."""
        match attempt.placed:
            case None:  # it has ended before
                assert attempt.known is not None
                return self._show_ended_before(buy, attempt.known)
            case int():
                return redirect(receipt_path(buy.key))
            case KeyReused():
                return self._show("key_reused", status_of(attempt.placed), buy=buy)
            case Unavailable():
                return self._show_unknown(buy.key, buy, attempt.placed)
            case refusal:
                return self._show_refusal(buy, refusal)

    def _show_ended_before(self, buy: Buy, known: KnownBuy) -> Reply:
        """Returns the reply to a buy under a key that has ended."""
        if known.buy != buy:
            return self._show("key_reused", status_of(KeyReused()), buy=buy)
        if isinstance(known.outcome, Order):
            return redirect(f"{receipt_path(buy.key)}?again=1")
        return self._show_known(known)

    def _show_known(self, known: KnownBuy, *, is_again: bool = False) -> Reply:
        """Returns the page of a key that the order log knows."""
        match known.outcome:
            case None:
                return self._show_unknown(known.buy.key, None, Unavailable())
            case Order() as order:
                return self._show("receipt", HTTPStatus.OK, order=order, returned=known.returned, is_again=is_again)
            case refusal:
                return self._show_refusal(known.buy, refusal)

    def _show_refusal(self, buy: Buy, refusal: Refused) -> Reply:
        return self._show("refused", status_of(refusal), buy=buy, is_out_of_stock=isinstance(refusal, OutOfStock))

    def _show_unknown(self, key: str, buy: Buy | None, error: Unavailable) -> Reply:
        """Returns the page that asks again by itself: for the receipt of the key, or for the buy if it is given.

        `buy` is None for a visitor who might not have sent it: such a page must not buy.
        """
        path = receipt_path(key)
        if buy is not None:
            path += "?" + urlencode({"product": buy.product, "quantity": buy.quantity})
        pause_s = error.retry_after_s or ASK_AGAIN_S
        return self._show(
            "unknown",
            status_of(error),
            {"Retry-After": str(pause_s)},
            key=key,
            buy=buy,
            path=path,
            pause_s=pause_s,
        )

    def _offer_to_send_again(self, buy: Buy, error: Unavailable | None = None) -> Reply:
        """Returns the page for a visitor who might not have sent the buy, which a button sends under its key.

        Without an error nothing has arrived under the key. With one that is not known.
        """
        status = HTTPStatus.NOT_FOUND if error is None else status_of(error)
        headers = None if error is None else {"Retry-After": str(error.retry_after_s or ASK_AGAIN_S)}
        return self._show("send_again", status, headers, buy=buy, is_unknown=error is not None)

    def _show(self, template: str, status: int, headers: dict[str, str] | None = None, **values: Any) -> Reply:
        return self._templates.page(f"shop/{template}.html", int(status), headers, **values)


def _buy_in_address(request: Request, key: str) -> Buy | None:
    """Returns the buy that the query string names; None when it names none."""
    try:
        product, quantity = parse_name(request.query_field("product")), parse_quantity(request.query_field("quantity"))
    except Invalid:
        return None
    return Buy(key, product, quantity)


def _is_asked_by_own_page(request: Request) -> bool:
    """Whether a page of this shop sends the browser here, and the visitor sees the result."""
    header = request.environ.get
    return (
        request.method == "GET"
        and header("HTTP_SEC_FETCH_SITE") == "same-origin"
        and header("HTTP_SEC_FETCH_MODE") == "navigate"
        and "HTTP_SEC_PURPOSE" not in request.environ  # a page that is fetched in advance is not seen
    )
