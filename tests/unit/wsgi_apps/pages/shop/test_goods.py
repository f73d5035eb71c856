"""The grid and the page of a product: names of any script, stocks, search, pages, and the key of the form."""

import html
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from werkzeug.test import Client

from db.sqlite.catalog import CatalogStore
from db.sqlite.order import OrderStore
from domain.checkout import Checkout
from domain.values import Product
from tests.support.app_clients import AppClients
from wsgi_apps.front_end import FrontEndApp
from wsgi_apps.pages.shop.goods import GRID_LIMIT

BROWSER = {"Accept": "text/html,application/xhtml+xml"}
Shops = Callable[..., Client]

HOSTILE_NAMES = [
    '"><script>alert(1)<b title="',
    "<img src=x onerror=alert(1)>",
    "' onfocus='alert(1)",
    "{{ 7 * 7 }}",
    "100%2F5 & more; a=b?c#d+e",
    "back\\slash",
    "דובי ורוד",
    "لعبة",
    "ぬいぐるみ",
    "\U0001f427" * 64,
    "x" * 64,
    "..",
    "shop",
    "receipts",
    "static",
]


@pytest.fixture
def shops(tmp_path: Path, orders: OrderStore) -> Iterator[Shops]:
    """Makes a client of a shop with these products."""
    with closing(CatalogStore(tmp_path / "shop.db")) as store:
        store.migrate()

        def make(*products: Product, **settings: object) -> Client:
            store.load(products)
            return Client(FrontEndApp(store, Checkout(orders, store), **settings))  # type: ignore[arg-type]

        yield make


def key_of(page: str) -> str:
    """Returns the key of the form of a page."""
    [key] = re.findall(r'name="key" value="([^"]*)"', page)
    return html.unescape(key)


def open_product(browser: Client) -> str:
    """Opens the page of a product as a link of the grid does. Returns the address to which it leads."""
    response = browser.get("/shop/Tux", headers=BROWSER)
    assert response.status_code == 303
    return response.headers["Location"]


def text_of(page: str) -> str:
    """Returns what people read of a page."""
    return html.unescape(re.sub(r"<[^>]*>", " ", page.partition("<main")[2]))


def test_the_grid_shows_each_product_with_price_and_stock(shops: Shops) -> None:
    shop = shops(Product("A", 2599, 80), Product("B", 100, 3), Product("C", 5, 0), currency="EUR")
    response = shop.get("/")
    assert (response.status_code, response.content_type) == (200, "text/html; charset=utf-8")
    assert response.headers["Cache-Control"] == "no-store"
    cards = re.findall(r'<li class="card".*?</li>', response.text, re.DOTALL)
    assert [text_of(f"<main{card}").split("  ")[-1] for card in cards]
    for card, price, stock in zip(
        cards, ("25.99\xa0EUR", "1.00\xa0EUR", "0.05\xa0EUR"), ("80 in stock", "last 3", "sold out"), strict=True
    ):
        assert price in card
        assert stock in card


def test_a_shop_without_a_currency_names_none(tiers: AppClients) -> None:
    page = tiers.front_end.get("/").text
    assert ">25.99<" in page
    assert "data-currency" not in page


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_name_is_text_wherever_it_stands(shops: Shops, name: str) -> None:
    """Its link leads to its page, and its form to its buy."""
    shop = shops(Product(name, 100, 7))
    grid = shop.get("/").text
    assert name in text_of(grid)
    assert "<script>alert" not in grid
    assert "<img src=x" not in grid
    [path] = re.findall(r'<h2><a href="([^"]*)" dir="auto">', grid)
    assert path == f"/shop/{quote(name, safe='')}"
    page = shop.get("/shop/x", environ_overrides={"PATH_INFO": f"/shop/{name}".encode().decode("latin-1")}).text
    [heading] = re.findall(r"<h1[^>]*>(.*?)</h1>", page)
    assert html.unescape(heading) == name
    assert "<script>alert" not in page
    assert f'action="{path}"' in page


def test_a_page_has_no_script_or_style_of_its_own(tiers: AppClients) -> None:
    """The policy forbids them, and so a browser would ignore them."""
    for path in ("/", "/shop/Tux"):
        response = tiers.front_end.get(path)
        assert response.headers["Content-Security-Policy"].startswith("default-src 'self';")
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?! src=)|javascript:", response.text)
        sources = re.findall(r'(?:src|href|action)="([^"]*)"', response.text)
        assert sources
        assert all(not urlsplit(source).netloc for source in sources)


def test_the_grid_has_pages(shops: Shops) -> None:
    names = [f"Toy {number:02} & more" for number in range(2 * GRID_LIMIT + 1)]
    shop = shops(*(Product(name, 100, 7) for name in names), Product("Bear", 100, 7))
    path, seen = "/?q=TOY", []
    while path:
        page = shop.get(path).text
        assert 'value="TOY"' in page
        seen.append([html.unescape(name) for name in re.findall(r'dir="auto">(Toy[^<]*)</a>', page)])
        following = re.findall(r'rel="next" href="([^"]*)"', page)
        path = html.unescape(following[0]) if following else ""
    assert [len(page) for page in seen] == [GRID_LIMIT, GRID_LIMIT, 1]
    assert [name for page in seen for name in page] == names


@pytest.mark.parametrize("q", ["zzz", "a/b", "x" * 65, "%00"])
def test_a_search_without_a_result_says_so_and_leads_back(tiers: AppClients, q: str) -> None:
    response = tiers.front_end.get(f"/?q={quote(q) if q != '%00' else q}")
    assert response.status_code == 200
    assert re.search("There is no toy|No toy can be called so", response.text)
    assert '<a class="button quiet" href="/">All toys</a>' in response.text


@pytest.mark.parametrize("query", ["utm_source=x&fbclid=y", "q=%FF", "q=a&q=b", "a" * 200, "&".join(["a=b"] * 30)])
def test_a_shopper_whose_address_has_more_in_it_sees_the_shop(tiers: AppClients, query: str) -> None:
    for path in ("/", "/shop/Tux"):
        response = tiers.front_end.get(f"{path}?{query}")
        assert response.status_code == 200
        assert "Tux" in response.text


def test_an_empty_shop_says_so(shops: Shops) -> None:
    assert "The shop is empty" in shops().get("/").text


def test_a_product_has_a_title_a_description_and_one_address(tiers: AppClients) -> None:
    page = tiers.front_end.get("/shop/Tux").text
    assert '<html lang="en">' in page
    assert "<title>Tux – Toy store</title>" in page
    assert '<meta name="description" content="Tux: 25.99, 80 in stock.">' in page
    assert '<link rel="canonical" href="/shop/Tux">' in page


@pytest.mark.parametrize(("quantity", "most"), [(1, 1), (80, 80), (2_000_000, 1_000_000)])
def test_the_form_asks_for_no_more_pieces_than_one_can_buy(shops: Shops, quantity: int, most: int) -> None:
    assert f'min="1" max="{most}"' in shops(Product("Tux", 100, quantity)).get("/shop/Tux").text


def test_a_product_that_is_sold_out_has_no_form(shops: Shops) -> None:
    page = shops(Product("Tux", 100, 0)).get("/shop/Tux").text
    assert "sold out" in page
    assert 'method="post"' not in page


def test_each_page_has_a_key_of_its_own(tiers: AppClients) -> None:
    keys = {key_of(tiers.front_end.get("/shop/Tux").text) for _ in range(20)}
    assert len(keys) == 20


def test_the_address_of_a_page_keeps_the_key_for_those_who_come_back(tiers: AppClients) -> None:
    """A browser asks for the page again on Back, because HTML is not kept."""
    address = open_product(tiers.front_end)
    assert re.fullmatch(r"/shop/Tux\?form=[0-9a-f]{32}", address)
    pages = [tiers.front_end.get(address, headers=BROWSER) for _ in range(3)]
    assert [page.status_code for page in pages] == [200, 200, 200]
    assert len({key_of(page.text) for page in pages}) == 1
    assert open_product(tiers.front_end) != address


@pytest.mark.parametrize("form", ["", "a", "%C3%A9", "0" * 31, "0" * 33, "G" * 32, "0" * 32 + "%0A"])
def test_a_number_that_is_no_forms_is_replaced(tiers: AppClients, form: str) -> None:
    response = tiers.front_end.get(f"/shop/Tux?form={form}", headers=BROWSER)
    assert response.status_code == 303
    assert re.fullmatch(r"/shop/Tux\?form=[0-9a-f]{32}", response.headers["Location"])


def test_a_shared_address_has_another_key_for_another_browser(tiers: AppClients) -> None:
    """Who opens it buys something new, and does not see the receipt of the one who shared it."""
    address = open_product(tiers.front_end)
    receipts = []
    for browser in (tiers.front_end, Client(tiers.front_end.application)):
        key = key_of(browser.get(address, headers=BROWSER).text)
        assert browser.get(f"/receipts/{key}").status_code == 404
        response = browser.post("/shop/Tux", data={"key": key, "quantity": "1"})
        assert response.headers["Location"] == f"/receipts/{key}", "it was not placed before"
        receipts.append(key)
        assert key not in address
    assert len(set(receipts)) == 2


def test_a_browser_without_cookies_buys_with_a_new_key_for_each_page(tiers: AppClients) -> None:
    browser = Client(tiers.front_end.application, use_cookies=False)
    address = open_product(browser)
    keys = {key_of(browser.get(address, headers=BROWSER).text) for _ in range(2)}
    assert len(keys) == 2
    for key in keys:
        assert browser.post("/shop/Tux", data={"key": key, "quantity": "1"}).headers["Location"] == f"/receipts/{key}"


@pytest.mark.parametrize("value", ["", "x", "0" * 31, "0" * 32 + "%0A", '"; Path=/shop'])
def test_a_cookie_that_the_shop_has_not_set_is_replaced(tiers: AppClients, value: str) -> None:
    browser = Client(tiers.front_end.application, use_cookies=False)
    response = browser.get(f"/shop/Tux?form={'0' * 32}", headers={**BROWSER, "Cookie": f"shop={value}"})
    assert re.fullmatch(r"shop=[0-9a-f]{32}; Path=/; HttpOnly; SameSite=Lax", response.headers["Set-Cookie"])


def test_a_browser_gets_one_cookie_in_the_grid(tiers: AppClients) -> None:
    """Of two products that are opened side by side, both forms keep their keys."""
    assert "Set-Cookie" in tiers.front_end.get("/").headers
    assert not any("Set-Cookie" in tiers.front_end.get(path).headers for path in ("/", "/shop/Tux", "/shop/Dumbo"))


def test_a_page_shows_the_stock_of_now(tiers: AppClients) -> None:
    assert "80 in stock" in tiers.front_end.get("/shop/Tux").text
    tiers.front_end.post("/Tux/78")
    assert "last 2" in tiers.front_end.get("/shop/Tux").text
    assert "last 2" in tiers.front_end.get("/").text


def test_a_picture_of_the_owner_is_shown_and_an_emblem_elsewhere(shops: Shops, tmp_path: Path) -> None:
    (tmp_path / "Tux & co.png").write_bytes(b"a picture")
    shop = shops(Product("Tux & co", 100, 7), Product("Whale", 100, 7), pictures=tmp_path)
    grid = shop.get("/").text
    assert grid.count("<svg") == 1
    [source] = re.findall(r'<img src="(/pictures/[^"]*)" alt=""', grid)
    assert source in shop.get("/shop/Tux%20%26%20co").text
    assert shop.get(source).data == b"a picture"
    assert "<svg" in shop.get("/shop/Whale").text


def test_a_page_asks_for_its_stock_with_the_etag_that_it_has(tiers: AppClients) -> None:
    page = tiers.front_end.get("/shop/Tux").text
    [etag] = re.findall(r'data-etag="([^"]*)"', page)
    headers = {"If-None-Match": html.unescape(etag)}
    response = tiers.front_end.get("/products/Tux", headers=headers)
    assert (response.status_code, response.data) == (304, b"")
    tiers.front_end.post("/Tux/1")
    response = tiers.front_end.get("/products/Tux", headers=headers)
    assert (response.status_code, response.json["data"]["quantity"]) == (200, 79)  # type: ignore[index]
    assert response.headers["ETag"] != headers["If-None-Match"]


def test_an_etag_changes_with_the_price(shops: Shops) -> None:
    shop = shops(Product("A", 12, 3), Product("B", 1, 23))
    assert shop.get("/products/A").headers["ETag"] != shop.get("/products/B").headers["ETag"]


@pytest.mark.parametrize("size", [24])
def test_a_first_view_is_at_most_40_kb(shops: Shops, size: int) -> None:
    shop = shops(*(Product(f"A toy of the shop, number {number}", 2599, 80) for number in range(size)))
    page = shop.get("/")
    files = [path for path in re.findall(r'(?:src|href)="(/static/[^"]*)"', page.text)]
    loaded = [shop.get(path, headers={"Accept-Encoding": "gzip"}) for path in set(files)]
    assert len(loaded) == 3
    assert all(file.headers["Cache-Control"] == "public, max-age=31536000, immutable" for file in loaded)
    assert len(page.data) + sum(len(file.data) for file in loaded) <= 40_000
