"""The page of the stock: what runs out first, search and pages, and forms that change a product once."""

from urllib.parse import quote

import pytest

from db.sqlite.catalog import CatalogStore
from db.sqlite.owner_catalog import OwnerCatalogStore
from domain.values import Product
from tests.support.desk import BROWSER, SECRET, DeskClient, Form, Page, assert_marked, read_page
from wsgi_apps.pages.desk.rules import Services

HOSTILE = [
    '"><script>alert(1)<script>',
    "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd",
    "🐧" * 64,
    "100% & more?#",
    "'{{ 7 * 7 }}'",
]


def names(page: Page) -> list[str]:
    """Returns the names of the products on a page, in their order."""
    links = [values["href"] for tag, values in page.tags if tag == "a"]
    return [link.removeprefix("/products/") for link in links if link and link.count("/") == 2 and "products" in link]


def restock_of(page: Page, name: str) -> Form:
    return page.form(f"/products/{name}", action="restock")


def test_the_desk_opens_with_the_stock(desk: DeskClient) -> None:
    response = desk.client.get("/", headers=BROWSER)
    assert (response.status_code, response.headers["Location"]) == (303, "/stock")


def test_the_product_that_runs_out_first_is_at_the_top(desk: DeskClient) -> None:
    assert names(desk.get("/stock")) == ["Tux", "Elephant", "Whale", "Bird"]


def test_a_product_is_shown_with_its_stock_and_price(desk: DeskClient) -> None:
    page = desk.get("/stock?q=tux")
    assert names(page) == ["Tux"]
    assert page.by_class["facts"][0].split() == ["80", "in", "stock", "25.99", "EUR"]


def test_without_a_currency_none_is_shown(services: Services) -> None:
    page = DeskClient(services, currency=None).get("/stock?q=tux")
    assert page.by_class["facts"][0].split() == ["80", "in", "stock", "25.99"]


def test_a_search_finds_a_part_of_a_name(desk: DeskClient) -> None:
    assert names(desk.get("/stock?q=W")) == ["Whale"]
    assert "No product has “zebra” in its name." in desk.get("/stock?q=zebra").text


def test_a_retired_product_is_shown_when_asked_for(desk: DeskClient, owner_catalog: OwnerCatalogStore) -> None:
    owner_catalog.retire("Tux", "k")
    assert "Tux" not in names(desk.get("/stock"))
    page = desk.get("/stock?retired=1")
    assert "Tux" in names(page)
    assert page.only("tag") == "retired"


def test_pages_follow_one_another_without_a_gap(desk: DeskClient, owner_catalog: OwnerCatalogStore) -> None:
    for number in range(60):
        owner_catalog.add(Product(f"toy-{number:02}", 100, number // 2), f"k{number}")
    page, seen = desk.get("/stock?q=toy"), list[str]()
    while True:
        seen += names(page)
        following = [values["href"] for tag, values in page.tags if values.get("rel") == "next"]
        if not following:
            break
        assert following[0] is not None
        page = desk.get(following[0])
    assert seen == [f"toy-{number:02}" for number in range(60)]
    assert "/stock?q=toy" in page.links  # back to the first page


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_text_wherever_it_stands(desk: DeskClient, owner_catalog: OwnerCatalogStore, name: str) -> None:
    owner_catalog.add(Product(name, 100, 1), "k")
    page = desk.get("/stock")
    assert name in page.text
    assert [values for tag, values in page.tags if tag == "script"] == []
    confirmed = desk.done(page.forms[3], quantity="2")  # behind the logout, the search and the new product
    assert confirmed.only("done").startswith(f"{name}: 2 pieces added, 3 in stock")
    assert name in desk.get(f"/products/{quote(name, safe='')}").text


def test_a_restock_is_confirmed_by_what_the_ledger_says(desk: DeskClient) -> None:
    page = desk.done(restock_of(desk.get("/stock"), "Tux"), quantity="20")
    assert page.only("done") == "Tux: 20 pieces added, 100 in stock: entry 5"


def test_a_change_returns_to_the_place_in_the_stock(desk: DeskClient) -> None:
    response = desk.send(restock_of(desk.get("/stock?q=t&retired=1"), "Tux"), quantity="1")
    assert response.headers["Location"] == "/stock?q=t&retired=1&changed=Tux&entry=5"


@pytest.mark.parametrize("action", ["restock", "writeoff", "correct", "price"])
def test_an_error_stands_in_the_stock_beside_its_form(desk: DeskClient, action: str) -> None:
    page = desk.get("/stock?q=t&retired=1")
    filled = page.form("/products/Tux", action=action)
    again = read_page(desk.send(filled, **{"price" if action == "price" else "quantity": "x"}), 400)
    assert names(again) == names(page) == ["Tux", "Elephant"]
    assert "'x' is not a" in again.only("problem")
    form = again.form("/products/Tux", action=action)
    assert (form.fields["key"], form.fields["back"]) == (filled.fields["key"], "/stock?q=t&retired=1")
    [field] = [values for tag, values in again.tags if values.get("aria-invalid") == "true"]
    assert field["value"] == "x"
    opened = [tag for tag, values in again.tags if tag == "details" and "open" in values]
    assert len(opened) == (action != "restock"), "the form can be seen"
    assert "<title>Error: Stock" in again.html


def test_an_error_of_a_product_that_left_the_page_stands_on_its_own_page(
    desk: DeskClient, owner_catalog: OwnerCatalogStore
) -> None:
    filled = restock_of(desk.get("/stock?limit=1"), "Tux")
    owner_catalog.restock("Tux", 1000, "k")
    page = read_page(desk.send(filled, quantity="x"), 400)
    assert "'x' is not a" in page.only("problem")
    assert page.by_class.get("stock") is None


def test_a_form_that_is_sent_twice_changes_once(desk: DeskClient, catalog: CatalogStore) -> None:
    form = restock_of(desk.get("/stock"), "Tux")
    first, second = desk.send(form, quantity="20"), desk.send(form, quantity="20")
    assert first.headers["Location"] == second.headers["Location"]
    assert catalog.lookup(["Tux"]) == [Product("Tux", 2599, 100)]


def test_each_form_has_a_key_of_its_own(desk: DeskClient) -> None:
    keys = [form.fields["key"] for form in desk.get("/stock").forms if "key" in form.fields]
    assert len(keys) == len(set(keys)) == 1 + 4 * 4


def test_an_address_alone_confirms_nothing(desk: DeskClient) -> None:
    assert "done" not in desk.get("/stock?changed=Tux&entry=99").by_class
    assert "done" not in desk.get("/stock?changed=Nothing&entry=1").by_class
    assert "done" not in desk.get("/stock?changed=Tux").by_class


def test_a_product_is_added_once(desk: DeskClient, catalog: CatalogStore) -> None:
    form = desk.get("/stock").form("/stock")
    values = {"name": "Yo-yo", "price": "4.5", "quantity": "7"}
    page = desk.done(form, **values)
    assert page.only("done") == "Yo-yo: added with 7 pieces at 4.50: entry 5"
    assert desk.done(form, **values).only("done") == page.only("done")
    assert catalog.lookup(["Yo-yo"]) == [Product("Yo-yo", 450, 7)]


@pytest.mark.parametrize(
    ("values", "wrong", "problem"),
    [
        ({"name": "Tux"}, "add", "There is or was a 'Tux' already."),
        ({"price": "1.999"}, "add-price", "The price '1.999' has more than 2 digits after the point."),
        ({"quantity": "-1"}, "add-quantity", "The quantity '-1' is not a whole number from 0 to 1,000,000,000."),
        ({"name": "a/b"}, "add", "The product name has a '/'."),
    ],
)
def test_an_error_stands_beside_the_form_that_keeps_what_was_typed(
    desk: DeskClient, values: dict[str, str], wrong: str, problem: str
) -> None:
    form = desk.get("/stock").form("/stock")
    typed = {"name": "Yo-yo", "price": "4.50", "quantity": "7", **values}
    page = read_page(desk.send(form, **typed), 400)
    assert page.only("problem") == problem
    assert_marked(page, wrong, "add-problem")
    again = page.form("/stock")
    assert {name: again.fields[name] for name in typed} == typed
    assert again.fields["key"] == form.fields["key"]  # nothing was done under it
    assert "open" in dict(next(values for tag, values in page.tags if tag == "details"))


def test_a_form_that_was_sent_with_other_values_gets_a_new_key(desk: DeskClient, catalog: CatalogStore) -> None:
    form = desk.get("/stock").form("/stock")
    desk.send(form, name="Yo-yo", price="4.50", quantity="7")
    page = read_page(desk.send(form, name="Kite", price="4.50", quantity="7"), 422)
    assert "was sent before with other values" in page.only("problem")
    assert_marked(page, None, "add-problem")
    again = page.form("/stock")
    assert again.fields["key"] != form.fields["key"]
    desk.done(again)
    assert catalog.lookup(["Kite"]) == [Product("Kite", 450, 7)]


def test_a_program_reads_the_stock_as_json(desk: DeskClient, owner_catalog: OwnerCatalogStore) -> None:
    owner_catalog.retire("Bird", "k")
    first = desk.json("/stock?limit=3&retired=1")
    assert first["data"][0] == {"name": "Tux", "price": 25.99, "price_cents": 2599, "quantity": 80, "retired": False}
    assert first["next"] == "94,Whale"
    rest = desk.json("/stock?limit=3&retired=1&after=94,Whale")
    assert ([product["name"] for product in rest["data"]], rest["next"]) == (["Bird"], None)


def test_a_page_may_follow_a_stock_below_zero_that_was_made_by_hand(desk: DeskClient) -> None:
    assert len(desk.json("/stock?after=-5,Tux")["data"]) == 4


@pytest.mark.parametrize("query", ["after=Tux", "after=x,Tux", "limit=0", "limit=1001", "limit=x", "colour=red"])
def test_a_wrong_parameter_is_an_error_in_both_forms(desk: DeskClient, query: str) -> None:
    assert desk.json(f"/stock?{query}", status=400)["error"]["code"] == 400
    assert "Bad Request" in desk.get(f"/stock?{query}", 400).text


def test_a_program_adds_a_product_once(desk: DeskClient) -> None:
    body = {"name": "Yo-yo", "price": 4.5, "quantity": 7}
    first = desk.post("/stock", body, key="k1")
    assert (first["data"]["made"], first["data"]["entry"]["entry"], first["data"]["entry"]["key"]) == (True, 5, "k1")
    again = desk.post("/stock", body, key="k1")
    assert again == {"data": {**first["data"], "made": False}}
    assert desk.post("/stock", {**body, "price": 5}, key="k1", status=422)["error"]["code"] == 422


@pytest.mark.parametrize(
    "body",
    [[], "text", {"name": None}, {"name": True, "price": 1}, {"name": {"a": 1}}, {"colour": "red"}, {"price": [1]}],
)
def test_json_of_another_form_is_refused(desk: DeskClient, body: object) -> None:
    assert desk.post("/stock", body, status=400)["error"]["code"] == 400


@pytest.mark.parametrize("body", ["{", '{"name": NaN}', '{"name": "a", "name": "b"}', "[" * 5000])
def test_a_body_that_is_not_json_is_refused(desk: DeskClient, body: str) -> None:
    headers = {"Authorization": f"Bearer {SECRET}", "Content-Type": "application/json"}
    response = desk.client.post("/stock", data=body, headers=headers)
    assert (response.status_code, response.json["error"]["code"]) == (400, 400)  # type: ignore[index]
