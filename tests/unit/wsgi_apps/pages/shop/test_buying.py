"""Buys by the form: one order and one receipt for a key, and what the pages say where there is none."""

import html
import re
from collections.abc import Sequence
from contextlib import suppress
from urllib.parse import quote, urlencode

import pytest
from werkzeug.test import Client, TestResponse

from db.sqlite.catalog import CatalogStore
from db.sqlite.order import OrderStore
from domain.checkout import Checkout
from domain.errors import OrderNotFound, TooManyRefusals, Unavailable
from domain.protocols import Placed
from domain.returns import Return, Returns
from domain.values import Buy, KnownBuy
from tests.support.app_clients import AppClients

OWN_PAGE = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate"}


class FlakyCheckout(Checkout):
    """A checkout with an outage: `error` is raised instead of a buy, after it if `is_late`; `find_error` by `find`."""

    error: Unavailable | None = None
    is_late = False
    find_error: Unavailable | None = None

    def place_all(self, buys: Sequence[Buy], timeout_s: float | None = None) -> list[Placed]:
        if self.error is not None and not self.is_late:
            raise self.error
        placed = super().place_all(buys, timeout_s)
        if self.error is not None:
            raise self.error
        return placed

    def find(self, keys: Sequence[str], timeout_s: float | None = None) -> Sequence[KnownBuy | None]:
        if self.find_error is not None:
            raise self.find_error
        return super().find(keys, timeout_s)


@pytest.fixture
def checkout(orders: OrderStore, catalog: CatalogStore) -> FlakyCheckout:
    return FlakyCheckout(orders, catalog)


@pytest.fixture
def shop(tiers: AppClients) -> Client:
    return tiers.front_end


def send(shop: Client, key: str, quantity: int | str = 1, product: str = "Tux") -> TestResponse:
    """Sends the form of a product's page."""
    return shop.post(f"/shop/{quote(product, safe='')}", data={"key": key, "quantity": str(quantity)})


def numbers(checkout: Checkout) -> list[int]:
    """Returns the numbers of all orders."""
    found: list[int] = []
    with suppress(OrderNotFound):
        while True:
            found.append(checkout.order(len(found)).number)
    return found


def text_of(response: TestResponse) -> str:
    """Returns what people read of a page."""
    assert response.content_type == "text/html; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-store"
    text = re.sub(r"<[^>]*>", " ", response.text.partition("<main")[2])
    return " ".join(html.unescape(text).split())


def refresh_of(response: TestResponse) -> str | None:
    """Returns the address of the page to which a page goes on by itself."""
    found = re.findall(r'http-equiv="refresh" content="\d+; url=([^"]*)"', response.text)
    return html.unescape(found[0]) if found else None


def test_a_form_buys_and_leads_to_the_receipt(shop: Client, checkout: FlakyCheckout) -> None:
    response = send(shop, "k", 3)
    assert (response.status_code, response.headers["Location"]) == (303, "/receipts/k")
    receipt = shop.get("/receipts/k")
    assert receipt.status_code == 200
    text = text_of(receipt)
    for part in ("Order 0", "Product Tux", "Pieces 3", "Price of one 25.99", "Total 77.97", "UTC"):
        assert part in text
    assert f'datetime="{checkout.order(0).time}"' in receipt.text
    assert "already" not in text
    assert "noindex" in receipt.text


def test_a_receipt_shows_what_was_given_back(shop: Client, returns: Returns) -> None:
    send(shop, "k", 3)
    assert "Given back" not in text_of(shop.get("/receipts/k"))
    returns.give_back(Return("back", 0, 2))
    assert "Total 77.97 Given back 2 pieces, 51.98" in text_of(shop.get("/receipts/k"))


def test_a_form_that_is_sent_again_buys_once_and_says_so(shop: Client, checkout: FlakyCheckout) -> None:
    """A double click, a reload, Back and send again."""
    send(shop, "k", 3)
    for _ in range(3):
        response = send(shop, "k", 3)
        assert (response.status_code, response.headers["Location"]) == (303, "/receipts/k?again=1")
    receipt = shop.get("/receipts/k?again=1")
    assert "placed already" in text_of(receipt)
    assert '<a href="/shop/Tux">Buy more</a>' in receipt.text
    assert numbers(checkout) == [0]


def test_a_receipt_is_found_by_its_key_alone(shop: Client) -> None:
    send(shop, "k", 3)
    for key in ("0", "K", "k2", "a,b", "%00", "x" * 200):
        response = shop.get(f"/receipts/{key}")
        assert response.status_code == 404
        assert "no receipt" in text_of(response)
        assert "25.99" not in response.text


@pytest.mark.parametrize("key", ["a/b", "/", "//", "?#", '"><script>', "%2F"])
def test_a_receipt_is_found_by_a_key_of_any_characters(shop: Client, key: str) -> None:
    response = send(shop, key)
    assert response.headers["Location"] == f"/receipts/{quote(key, safe='')}"
    receipt = shop.get("/receipts/x", environ_overrides={"PATH_INFO": f"/receipts/{key}"})
    assert (receipt.status_code, "<script>" in receipt.text) == (200, False)


@pytest.mark.parametrize(
    ("product", "quantity", "reason"),
    [("Tux", 81, "Out of stock: there were fewer than 81 pieces of Tux left"), ("Nix", 1, "Nix is no longer sold")],
)
def test_a_refusal_is_a_page_with_the_reason_and_a_way_on(
    shop: Client, product: str, quantity: int, reason: str
) -> None:
    for response in (send(shop, "k", quantity, product), send(shop, "k", quantity, product), shop.get("/receipts/k")):
        assert response.status_code == 404
        text = text_of(response)
        assert "Nothing was bought" in text
        assert reason in text
        assert '<a class="button' in response.text


@pytest.mark.parametrize("quantity", [4, 81])
def test_a_key_that_stands_for_another_buy_is_refused(shop: Client, checkout: FlakyCheckout, quantity: int) -> None:
    send(shop, "k", 3)
    for response in (send(shop, "k", quantity), send(shop, "k", 3, "Whale")):
        assert response.status_code == 422
        assert "used already" in text_of(response)
        assert 'href="/receipts/k"' in response.text
    assert numbers(checkout) == [0]


@pytest.mark.parametrize("quantity", ["0", "-1", "1.5", "", "x", "1000001", "1 2"])
def test_a_number_of_pieces_that_is_none_is_refused(shop: Client, quantity: str, checkout: FlakyCheckout) -> None:
    response = send(shop, "k", quantity)
    assert response.status_code == 400
    expected = "1,000,000 or less" if quantity == "1000001" else "1 or more"
    assert f"Nothing was bought Enter a whole number, {expected}. Try again" in text_of(response)
    assert numbers(checkout) == []


@pytest.mark.parametrize("body", ["quantity=1", "key=&quantity=1", "key=a&key=b&quantity=1", "key=a%2Cb&quantity=1"])
def test_a_form_without_a_key_buys_nothing(shop: Client, checkout: FlakyCheckout, body: str) -> None:
    response = shop.post("/shop/Tux", data=body, content_type="application/x-www-form-urlencoded")
    assert (response.status_code, numbers(checkout)) == (400, [])
    assert "the key of the form" in text_of(response)


@pytest.mark.parametrize("error", [Unavailable(), Unavailable(retry_after_s=7), TooManyRefusals(retry_after_s=9)])
@pytest.mark.parametrize("is_late", [False, True])
def test_an_unknown_outcome_keeps_the_key_and_asks_again(
    shop: Client, checkout: FlakyCheckout, error: Unavailable, is_late: bool
) -> None:
    """With JavaScript the page sends its form again, without by an address: both under the same key."""
    checkout.error, checkout.is_late = error, is_late
    response = send(shop, "k & k".replace(" ", ""), 2)
    pause_s = error.retry_after_s or 2
    assert response.status_code == (429 if isinstance(error, TooManyRefusals) else 503)
    assert response.headers["Retry-After"] == str(pause_s)
    assert "do not know yet" in text_of(response)
    assert f'action="/shop/Tux" data-retry="{pause_s}"' in response.text
    assert 'name="key" value="k&amp;k"' in response.text
    assert 'name="quantity" value="2"' in response.text
    address = refresh_of(response)
    assert address == "/receipts/k%26k?product=Tux&quantity=2"
    assert f"<noscript>{re.findall('<meta http-equiv=.refresh.*?>', response.text)[0]}</noscript>" in response.text
    checkout.error = None
    response = shop.get(address, headers=OWN_PAGE)
    while response.status_code == 303:
        response = shop.get(response.headers["Location"])
    assert "Pieces 2" in text_of(response)
    assert numbers(checkout) == [0]


def test_a_form_that_no_tier_has_heard_of_asks_again_too(shop: Client, checkout: FlakyCheckout) -> None:
    checkout.find_error = Unavailable()
    response = send(shop, "k")
    assert (response.status_code, numbers(checkout)) == (503, [])
    assert refresh_of(response) == "/receipts/k?product=Tux&quantity=1"
    response = shop.get("/receipts/k?product=Tux&quantity=1", headers=OWN_PAGE)
    assert (response.status_code, refresh_of(response)) == (503, "/receipts/k?product=Tux&quantity=1")


ADDRESS = "/receipts/k?product=Tux&quantity=2"
# Requests that the shop's own page does not make.
FOREIGN = [
    {},
    {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
    {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate"},
    {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "no-cors"},
    {**OWN_PAGE, "Sec-Purpose": "prefetch"},
]


@pytest.mark.parametrize("headers", FOREIGN)
def test_an_address_buys_only_for_the_own_page(shop: Client, checkout: FlakyCheckout, headers: dict[str, str]) -> None:
    """A link, an image or a page of another site must not buy. The visitor gets a button, with the same key."""
    response = shop.get(ADDRESS, headers=headers)
    assert (response.status_code, numbers(checkout)) == (404, [])
    assert "Send it again" in text_of(response)
    assert 'name="key" value="k"' in response.text
    assert refresh_of(response) is None
    assert "data-retry" not in response.text


@pytest.mark.parametrize("headers", FOREIGN)
def test_a_page_for_strangers_does_not_come_back_as_the_own_page(
    shop: Client, checkout: FlakyCheckout, headers: dict[str, str]
) -> None:
    """While the store is away: a page that asked again by itself would be the own page, and buy."""
    checkout.find_error = Unavailable()
    response = shop.get(ADDRESS, headers=headers)
    assert refresh_of(response) is None
    assert "data-retry" not in response.text
    assert (response.status_code, response.headers["Retry-After"]) == (503, "2")
    assert "do not know yet" in text_of(response), "the order may well be there"
    assert "Nothing was bought yet" not in text_of(response)
    assert 'name="key" value="k"' in response.text
    response = shop.get("/receipts/k", headers=headers)
    assert (response.status_code, refresh_of(response)) == (503, "/receipts/k")
    assert "data-retry" not in response.text


def test_a_head_buys_nothing(shop: Client, checkout: FlakyCheckout) -> None:
    assert shop.head(ADDRESS, headers=OWN_PAGE).status_code == 404
    assert numbers(checkout) == []


@pytest.mark.parametrize(
    "query", ["product=Tux", "quantity=2", "product=Tux&quantity=0", "product=&quantity=2", "product=a/b&quantity=1"]
)
def test_an_address_without_a_whole_buy_buys_nothing(shop: Client, checkout: FlakyCheckout, query: str) -> None:
    response = shop.get(f"/receipts/k?{query}", headers=OWN_PAGE)
    assert (response.status_code, numbers(checkout)) == (404, [])
    assert "no receipt" in text_of(response)


def test_an_address_shows_what_its_key_bought_whatever_else_it_says(shop: Client, checkout: FlakyCheckout) -> None:
    send(shop, "k", 3)
    query = urlencode({"product": "Whale", "quantity": 9})
    assert "Pieces 3" in text_of(shop.get(f"/receipts/k?{query}", headers=OWN_PAGE))
    assert numbers(checkout) == [0]


def test_a_buy_in_doubt_asks_again_until_it_is_settled(
    shop: Client, checkout: FlakyCheckout, orders: OrderStore
) -> None:
    orders.begin([Buy("k", "Tux", 2)])
    for path in ("/receipts/k", "/receipts/k?product=Tux&quantity=2"):
        response = shop.get(path, headers=OWN_PAGE)
        assert (response.status_code, refresh_of(response)) == (503, "/receipts/k")
        assert response.headers["Retry-After"] == "2"
    checkout.settle(checkout.intents(10))
    assert "Pieces 2" in text_of(shop.get("/receipts/k"))


def test_a_form_in_doubt_is_completed_by_being_sent_again(
    shop: Client, checkout: FlakyCheckout, orders: OrderStore
) -> None:
    orders.begin([Buy("k", "Tux", 2)])
    assert send(shop, "k", 2).headers["Location"] == "/receipts/k"
    assert numbers(checkout) == [0]
