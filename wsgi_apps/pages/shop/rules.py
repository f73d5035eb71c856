"""The rules of the shop's pages, for the URL map of the front end, and its pages for errors."""

from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

from domain.errors import ProductNotFound
from domain.protocols import Catalog, Found, Placed
from domain.values import Buy, KnownBuy
from wsgi_apps.base import EMPTY_BODIES, Request, Rule
from wsgi_apps.batcher import Asker
from wsgi_apps.pages.money import money
from wsgi_apps.pages.shop import words
from wsgi_apps.pages.shop.attempts import Attempts
from wsgi_apps.pages.shop.buying import Buying
from wsgi_apps.pages.shop.goods import Goods
from wsgi_apps.pages.shop.pictures import Pictures
from wsgi_apps.pages.static import StaticFiles
from wsgi_apps.pages.templates import Templates
from wsgi_apps.reply import BoundedPool, Deferred, Reply, run_in_pool

# A page of the grid has up to two dozen pictures, which a browser asks for at once.
PICTURE_THREADS = 2
MAX_QUEUED_PICTURES = 256
# Paths of the API. Its errors are JSON, also in a browser.
_API = ("/products", "/orders", "/health", "/ready", "/openapi.json")
# The heading and the sentence of the page for an error; the sentence of any other is the error's own message.
_NOT_FOUND = ("Page not found", "There is no page at this address.")
_PAGES = {
    404: _NOT_FOUND,
    405: _NOT_FOUND,
    500: ("Something went wrong", "It was not your fault, and it was noted."),
    503: ("The shop is busy", "It may also be just starting. Please try again in a moment."),
}
_UNKNOWN_PRODUCT = ("Product not found", "There is no product of this name.")


class Shop:
    """The pages of the shop. `buy_by_path` is the API's buy of a product that is named like the path of the pages."""

    def __init__(
        self,
        catalog: Catalog,
        lookups: Asker[str, Found],
        known: Asker[str, KnownBuy | None],
        buys: Asker[Buy, Placed],
        static: StaticFiles,
        pool: BoundedPool,
        *,
        buy_by_path: Callable[[Request, str, str], Deferred[Any]],
        pictures: Path | None,
        currency: str | None,
    ) -> None:
        self._templates = Templates(
            static=static.url,
            money=lambda cents: money(cents, currency),
            currency=currency,
            stock=words.stock,
            stock_level=words.stock_level,
            moment=words.moment,
            product_path=words.product_path,
            receipt_path=words.receipt_path,
        )
        self._pictures = Pictures(pictures, run_later=pool.submit)
        self._goods = Goods(catalog, lookups, self._pictures, self._templates)
        self._buying = Buying(Attempts(known, buys), self._templates)
        self._buy_by_path = buy_by_path
        self._pool = pool
        self._picture_pool = BoundedPool(PICTURE_THREADS, MAX_QUEUED_PICTURES)

    def rules(self) -> list[Rule]:
        """Returns the rules of the pages."""
        grid = run_in_pool(self._goods.grid, self._pool)
        picture = run_in_pool(self._pictures.reply, self._picture_pool)
        return [
            Rule("/", methods=["GET"], endpoint=grid, takes_query=True),
            Rule("/shop/<name>", methods=["GET"], endpoint=self._goods.product, takes_query=True),
            Rule("/shop/<name>", methods=["POST"], endpoint=self.buy),
            Rule("/receipts/<rest:key>", methods=["GET"], endpoint=self._buying.receipt, takes_query=True),
            Rule("/pictures/<name>", methods=["GET"], endpoint=picture),
        ]

    def buy(self, request: Request, name: str) -> Reply | Deferred[Any]:
        """Buys the product of the path by the form in the body. Without a form it is a buy of the API.

        POST /shop/3 without a form buys three pieces of a product named `shop`, as it did before there were pages.
        """
        if request.has_form and request.whole_body.strip() not in EMPTY_BODIES:
            return self._buying.buy(request, name)
        return self._buy_by_path(request, "shop", name)

    def show_error(self, request: Request, error: Reply) -> Reply:
        """Returns the page for an error of a page; the error itself, as JSON, for a program and for the API."""
        path = request.environ.get("PATH_INFO", "")
        is_of_page = request.method in ("GET", "HEAD") or request.has_form
        if not (request.wants_page and is_of_page) or path.startswith(_API):
            return error
        message = error.body["error"]["message"]
        heading, sentence = _PAGES.get(error.status, (HTTPStatus(error.status).phrase, message))
        if message == ProductNotFound.message:
            heading, sentence = _UNKNOWN_PRODUCT
        return self._templates.page(
            "shop/error.html",
            error.status,
            error.headers,
            heading=heading,
            sentence=sentence,
            request_id=(error.headers or {}).get("X-Request-Id"),
        )
