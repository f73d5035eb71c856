"""The pages with products: the grid, and the page of one product with its form.

What is shown of a product is rendered once for each price and stock, and kept: a page then costs little more than its
JSON. A form has its idempotency key in it, so however often it is sent, it buys once.
"""

import json
from collections.abc import Sequence
from functools import lru_cache

from markupsafe import Markup

from domain.errors import Invalid
from domain.protocols import Catalog, Found
from domain.values import MAX_QUANTITY, Product, parse_name
from wsgi_apps.base import Request
from wsgi_apps.batcher import Asker, single_result
from wsgi_apps.pages.shop.emblem import draw_emblem
from wsgi_apps.pages.shop.form_keys import browser_of, form_key, is_form, new_form
from wsgi_apps.pages.shop.pictures import Pictures
from wsgi_apps.pages.shop.words import product_path
from wsgi_apps.pages.templates import Templates, html, redirect
from wsgi_apps.reply import Deferred, Reply
from wsgi_apps.wire import product_etag

# Divides into rows of 2, 3 and 4.
GRID_LIMIT = 24
# Rendered parts that are kept. With the longest names they take at most 6 MB, 6 MB and 2 MB in a worker.
MAX_CARDS = 2_048
MAX_PAGES = 512
MAX_FRAMES = 256
# Stands in a rendered page where the key of each copy, or the cards, go. No name has a control character.
_GAP = "\0"


class Goods:
    """Shows the products of the catalog."""

    def __init__(self, catalog: Catalog, lookups: Asker[str, Found], pictures: Pictures, templates: Templates) -> None:
        self._catalog = catalog
        self._lookups = lookups
        self._pictures = pictures
        self._templates = templates
        self._card = lru_cache(MAX_CARDS)(self._render_card)
        self._page = lru_cache(MAX_PAGES)(self._render_page)
        self._frame = lru_cache(MAX_FRAMES)(self._render_frame)

    def grid(self, request: Request) -> Reply:
        """Shows two dozen products, those with `q` in their names if it is given. It asks the catalog and waits.

        A browser gets its cookie here, before two products are opened side by side and each would make one.
        """
        q, after = request.query_field("q").strip(), request.query_field("after")
        try:
            q, after = (parse_name(text) if text else "" for text in (q, after))
        except Invalid as error:  # no product has such a name
            q = "".join(filter(str.isprintable, q))
            return self._templates.page(
                "shop/grid.html", q=q, after="", cards="", following=None, problem=error.message
            )
        page = json.loads(self._catalog.products(q=q, after=after, limit=GRID_LIMIT))
        cards = [
            self._card(name, round(item["price"] * 100), item["quantity"], self._pictures.url(name))
            for item in page["data"]
            for name in (item["name"],)
        ]
        _, cookie = browser_of(request)
        return html(b"".join(cards).join(self._frame(q, after, page["next"], bool(cards))), headers=cookie)

    def product(self, request: Request, name: str) -> Reply | Deferred[Sequence[Found]]:
        """Shows a product and the form that buys it, whose number is in the address: see form_keys.py."""
        form = request.query_field("form")
        if not is_form(form):
            form = new_form()
            if request.wants_page:
                return redirect(f"{product_path(parse_name(name))}?form={form}")
        browser, cookie = browser_of(request)
        key = form_key(browser, form)

        def show(found: Sequence[Found]) -> Reply:
            product = single_result(found)
            assert isinstance(product, Product)
            page = self._page(product, self._pictures.url(product.name))
            return html(key.encode().join(page), headers=cookie)

        return Deferred(self._lookups.ask([parse_name(name)]), show)

    def _render_frame(self, q: str, after: str, following: str | None, has_cards: bool) -> list[bytes]:
        """Returns a page of the grid, cut where its cards go. Without cards it is in one piece, and says so."""
        cards = Markup(_GAP if has_cards else "")
        page = self._templates.render(
            "shop/grid.html", q=q, after=after, cards=cards, following=following, problem=None
        )
        return page.encode().split(_GAP.encode())

    def _render_card(self, name: str, price_cents: int, quantity: int, picture: str | None) -> bytes:
        product = Product(name, price_cents, quantity)
        return self._templates.render("shop/card.html", product=product, picture=_picture(name, picture)).encode()

    def _render_page(self, product: Product, picture: str | None) -> list[bytes]:
        """Returns the page of a product, cut where its key goes."""
        page = self._templates.render(
            "shop/product.html",
            product=product,
            picture=_picture(product.name, picture),
            max_quantity=min(product.quantity, MAX_QUANTITY),
            etag=product_etag(product),
            key=_GAP,
        )
        return page.encode().split(_GAP.encode())


def _picture(product: str, url: str | None) -> Markup:
    if url is None:
        return draw_emblem(product)
    return Markup('<img src="{}" alt="" width="400" height="300" loading="lazy">').format(url)
