"""HttpCatalog and HttpOrders turn each reply into a value, a domain error, or Unavailable."""

import pytest
from werkzeug.wrappers import Request, Response

from db.sqlite.order import OrderStore
from domain.checkout import Checkout
from domain.errors import Invalid, KeyReused, OrderNotFound, OutOfStock, ProductNotFound, StoreError, Unavailable
from domain.values import Buy, Order, Product, Sold
from tests.support.stub_server import answer_with, tier
from tests.support.tier_calls import BUY, PAGE
from wsgi_apps.clients import HttpCatalog, HttpOrders
from wsgi_apps.wire import MAX_PAGE_BYTES


def test_a_sale_is_read() -> None:
    seen: list[Request] = []

    def answer(request: Request) -> Response:
        seen.append(request)
        request.get_data()
        return answer_with(200, {"data": [2599, [404, "out of stock", None]]})(request)

    with tier(answer) as client:
        assert HttpCatalog(client).sell([BUY, BUY]) == [Sold(2599), OutOfStock()]
    assert (seen[0].method, seen[0].path) == ("POST", "/v1/sales")
    assert seen[0].headers["Content-Type"] == "application/json"
    assert seen[0].json == [["k", "a b&\u00fc", 2], ["k", "a b&\u00fc", 2]]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, {"data": []}),
        (200, {"data": [2599, 2599]}),
        (200, {"data": [2599, None]}),
        (200, {"data": [100_000_000_001]}),
        (200, {"data": [2**63]}),
        (200, {"data": [10**30]}),
        (200, {"data": ["free"]}),
        (200, {"data": [True]}),
        (200, {"data": [-1]}),
        (200, {"data": [{"price_cents": 2599}]}),
        (200, {"data": [[404, "not found", None]]}),
        (200, {"data": [[503, "the store is busy, try again", None]]}),
        (200, {"data": {"0": 2599}}),
        (200, {"data": "7"}),
        (200, {"data": 7}),
        (200, {"data": [None]}),
        (200, {"message": "welcome to another server"}),
        (200, []),
        (404, {"error": {"code": 404, "message": "not found"}}),
        (404, {"detail": "not found"}),
        (403, "go away"),
        (302, {}),
        (500, {"error": {"code": 500, "message": "internal error"}}),
        (503, {"error": {"code": 503, "message": "the store is busy, try again"}}),
    ],
)
def test_an_answer_that_is_not_definite_is_unavailable(status: int, body: object) -> None:
    with tier(answer_with(status, body), deadline_s=1.0) as client, pytest.raises(Unavailable):
        HttpCatalog(client).sell([BUY])


def test_html_is_unavailable() -> None:
    with tier(lambda _request: Response("<h1>hello</h1>"), deadline_s=1.0) as client, pytest.raises(Unavailable):
        HttpCatalog(client).lookup(["Tux"])


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (404, {"error": {"code": 404, "message": "product not found"}}, ProductNotFound()),
        (404, {"error": {"code": 404, "message": "order not found"}}, OrderNotFound()),
        (422, {"error": {"code": 422, "message": KeyReused.message}}, KeyReused()),
        (400, {"error": {"code": 400, "message": "the quantity is below 1"}}, Invalid("the quantity is below 1")),
    ],
)
def test_an_error_of_the_tier_is_raised_as_the_same_error(status: int, body: object, error: StoreError) -> None:
    with tier(answer_with(status, body)) as client:
        with pytest.raises(type(error)) as caught:
            HttpOrders(client).order(1)
        assert caught.value == error


def test_an_order_and_a_product_are_read() -> None:
    order = {"order_number": "7", "name": "Tux", "quantity": 2, "price": 25.99, "time": "now"}
    with tier(answer_with(200, {"data": order})) as client:
        assert HttpOrders(client).order(7) == Order(7, "Tux", 2, 2599, "now")
        assert HttpOrders(client).order(7, "k") == Order(7, "Tux", 2, 2599, "now")


def page_through(status: int, body: bytes, content_type: str = "application/json") -> bytes:
    """Returns a page as the client passes it on, from a tier that answers with this body."""
    with tier(lambda _request: Response(body, status, content_type=content_type)) as client:
        return HttpCatalog(client).products(q="\u00fc", after="", limit=1)


@pytest.mark.parametrize("end", [b"", b"\n"])
@pytest.mark.parametrize("page", [PAGE, b'{"data": [], "next": null}', b'{"data": [nobody decodes this}'])
def test_a_page_is_passed_on_unchanged(page: bytes, end: bytes) -> None:
    assert page_through(200, page + end) == page


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (PAGE, "text/html"),
        (b"<h1>hello</h1>", "text/html; charset=utf-8"),
        (b"<h1>hello</h1>", "application/json"),
        (b"", "application/json"),
        (b"[]", "application/json"),
        (b'{"data": {"status": "ok"}}', "application/json"),
        (b'{"data": [{"name": "Tux", "price": 25.99', "application/json"),
        (PAGE + b" " * MAX_PAGE_BYTES + b"}", "application/json"),
    ],
)
def test_a_reply_of_another_program_is_not_passed_on_as_a_page(body: bytes, content_type: str) -> None:
    with pytest.raises(Unavailable):
        page_through(200, body, content_type)


def test_an_error_instead_of_a_page_is_raised_as_the_same_error() -> None:
    with pytest.raises(Invalid, match=r"^limit is too much$"):
        page_through(400, b'{"error": {"code": 400, "message": "limit is too much"}}')
    with pytest.raises(Unavailable):
        page_through(404, b'{"error": {"code": 404, "message": "not found"}}')


@pytest.mark.parametrize("bad", [None, "7", -1, {}, [], [404, "not found", None], [503, "busy", None]])
def test_a_malformed_answer_in_a_batch_leaves_the_other_answers_valid(bad: object) -> None:
    with tier(answer_with(200, {"data": [2599, bad]})) as client:
        assert HttpCatalog(client).sell([BUY, BUY]) == [Sold(2599), Unavailable()]
    with tier(answer_with(200, {"data": [7, bad]})) as client:
        assert HttpOrders(client).place_all([BUY, BUY]) == [7, Unavailable()]
    if bad is not None:  # null is the answer for an unknown product
        with tier(answer_with(200, {"data": [["Tux", 2599, 3], bad]})) as client:
            assert HttpCatalog(client).lookup(["Tux", "Nix"]) == [Product("Tux", 2599, 3), Unavailable()]


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (404, "out of stock"),
        (404, "product not found"),
        (422, KeyReused.message),
        (400, "more than 16 sales in a call"),
    ],
)
def test_an_error_for_a_whole_batch_refuses_none_of_its_buys(status: int, message: str) -> None:
    with tier(answer_with(status, {"error": {"code": status, "message": message}})) as client:
        with pytest.raises(Unavailable):
            HttpCatalog(client).sell([BUY])
        with pytest.raises(Unavailable):
            HttpOrders(client).place_all([BUY])


def test_the_answers_of_a_batch_are_read() -> None:
    with tier(answer_with(200, {"data": [["Tux", 2599, 3], None]})) as client:
        found = HttpCatalog(client).lookup(["Tux", "Nix", "Tux"])
        assert found == [Product("Tux", 2599, 3), ProductNotFound(), Product("Tux", 2599, 3)]
    with tier(answer_with(200, {"data": [7, [404, "out of stock", None]]})) as client:
        assert HttpOrders(client).place_all([BUY, BUY]) == [7, OutOfStock()]


def test_an_impossible_price_in_a_batch_leaves_the_other_answers_valid(orders: OrderStore) -> None:
    with tier(answer_with(200, {"data": [2599, 2**63]})) as client:
        placed = Checkout(orders, HttpCatalog(client)).place_all([Buy("a", "Tux", 1), Buy("b", "Tux", 1)])
    assert placed == [0, Unavailable()]


@pytest.mark.parametrize("row", [["Nix", -1, 3], ["Nix", 100_000_000_001, 3], ["Nix", 2599, -3], ["Nix", 2599, 2**63]])
def test_an_impossible_product_in_a_batch_is_unavailable(row: list[object]) -> None:
    with tier(answer_with(200, {"data": [["Tux", 2599, 3], row]})) as client:
        assert HttpCatalog(client).lookup(["Tux", "Nix"]) == [Product("Tux", 2599, 3), Unavailable()]
