"""The page of an order: what was bought, its returns, and the form that gives pieces back once."""

import pytest

from db.sqlite.catalog import CatalogStore
from domain.checkout import Checkout
from domain.values import Buy, Product
from tests.support.desk import DeskClient, assert_marked, column, read_page

PATH = "/orders/0/returns"


@pytest.fixture(autouse=True)
def order(checkout: Checkout) -> None:
    """Order 0: three pieces of Tux."""
    checkout.place(Buy("buy-1", "Tux", 3))


def test_the_page_has_the_order(desk: DeskClient) -> None:
    page = desk.get("/orders/0")
    for text in ("Order 0", "Tux", "25.99\xa0EUR", "77.97\xa0EUR", "buy-1", "0 of 3"):
        assert text in page.text
    assert "/products/Tux" in page.links


def test_all_that_is_left_is_offered(desk: DeskClient) -> None:
    form = desk.get("/orders/0").form(PATH)
    assert form.fields["quantity"] == "3"
    desk.done(form, quantity="1")
    assert desk.get("/orders/0").form(PATH).fields["quantity"] == "2"


def test_pieces_are_given_back_once_and_the_log_confirms_it(desk: DeskClient, catalog: CatalogStore) -> None:
    form = desk.get("/orders/0").form(PATH)
    page = desk.done(form, quantity="1", note="wrong colour")
    assert page.only("done") == "Order 0: 1 piece given back, 2 of 3 left with the buyer."
    assert desk.done(form, quantity="1", note="wrong colour").only("done") == page.only("done")
    [table] = page.tables
    assert (column(table, "Pieces"), column(table, "Reason")) == (["1"], ["wrong colour"])
    assert column(table, "Key") == [form.fields["key"]]
    assert catalog.lookup(["Tux"]) == [Product("Tux", 2599, 78)]


def test_an_order_that_was_given_back_whole_has_no_form(desk: DeskClient) -> None:
    page = desk.done(desk.get("/orders/0").form(PATH))
    assert "All pieces of this order were given back." in page.text
    assert [form for form in page.forms if form.action == PATH] == []


def test_more_than_is_left_is_an_error_beside_the_form(desk: DeskClient, catalog: CatalogStore) -> None:
    form = desk.get("/orders/0").form(PATH)
    page = read_page(desk.send(form, quantity="4", note="too many"), 400)
    assert page.only("problem")
    again = page.form(PATH)
    assert again.fields == {**form.fields, "quantity": "4", "note": "too many"}
    assert catalog.lookup(["Tux"]) == [Product("Tux", 2599, 77)]


@pytest.mark.parametrize(
    ("typed", "wrong"),
    [
        ({"quantity": "x", "note": ""}, "return"),
        ({"quantity": "1", "note": "\x07"}, "return-note"),
        ({"quantity": "4", "note": ""}, "return"),
    ],
)
def test_only_the_wrong_field_is_marked(desk: DeskClient, typed: dict[str, str], wrong: str | None) -> None:
    page = read_page(desk.send(desk.get("/orders/0").form(PATH), **typed), 400)
    assert_marked(page, wrong, "return-problem")


def test_a_form_with_other_values_gets_a_new_key(desk: DeskClient) -> None:
    form = desk.get("/orders/0").form(PATH)
    desk.done(form, quantity="1")
    page = read_page(desk.send(form, quantity="2"), 422)
    assert page.form(PATH).fields["key"] != form.fields["key"]


def test_a_return_under_a_key_of_any_characters_is_confirmed(desk: DeskClient) -> None:
    form = desk.get("/orders/0").form(PATH)
    form.fields["key"] = "a&b=c#d%20+"
    assert "done" in desk.done(form, quantity="1").by_class


def test_an_address_alone_confirms_nothing(desk: DeskClient) -> None:
    assert "done" not in desk.get("/orders/0?returned=guessed").by_class


def test_a_program_reads_and_gives_back(desk: DeskClient) -> None:
    body = {"quantity": 1, "note": "wrong colour"}
    data = desk.post(PATH, body, key="r1")["data"]
    assert (data["order_number"], data["quantity"], data["returned"]) == ("0", 1, 1)
    assert desk.post(PATH, body, key="r1")["data"] == data
    assert desk.post(PATH, {"quantity": 3}, key="r2", status=400)["error"]["code"] == 400
    assert desk.post(PATH, {"quantity": 2}, key="r1", status=422)["error"]["code"] == 422
    order = desk.json("/orders/0")["data"]
    assert (order["order_number"], order["returned"]) == ("0", 1)
    [returned] = order["returns"]
    assert (returned["key"], returned["quantity"], returned["note"]) == ("r1", 1, "wrong colour")


@pytest.mark.parametrize("number", ["1", "-1", "x", "99999999999999999999"])
def test_an_unknown_order_is_not_found(desk: DeskClient, number: str) -> None:
    assert "order not found" in desk.get(f"/orders/{number}", 404).text
    assert desk.json(f"/orders/{number}", 404)["error"]["message"] == "order not found"
    assert desk.post(f"/orders/{number}/returns", {}, status=404)["error"]["message"] == "order not found"
