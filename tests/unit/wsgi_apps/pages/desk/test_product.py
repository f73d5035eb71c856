"""The page of a product: its ledger, history and chart, and the forms that change it once."""

import pytest

from db.sqlite.catalog import CatalogStore
from db.sqlite.owner_catalog import OwnerCatalogStore
from domain.checkout import Checkout
from domain.values import Buy, Product
from tests.support.desk import DeskClient, Form, Page, assert_marked, column, read_page

TUX = "/products/Tux"


def form(page: Page, action: str) -> Form:
    return page.form(TUX, action=action)


def stock_of(catalog: CatalogStore, name: str = "Tux") -> int:
    [product] = catalog.lookup([name])
    assert isinstance(product, Product)
    return product.quantity


def test_the_page_has_the_ledger_newest_first(desk: DeskClient, checkout: Checkout) -> None:
    checkout.place(Buy("buy-1", "Tux", 3))
    desk.done(form(desk.get(TUX), "writeoff"), quantity="2", note="broken")
    ledger = desk.get(TUX).tables[0]
    assert column(ledger, "Reason") == ["writeoff", "sold", "initial"]
    assert column(ledger, "Change") == ["−2", "−3", "+80"]
    assert column(ledger, "In stock") == ["75", "77", "80"]
    assert column(ledger, "Note") == ["broken", "", ""]
    assert column(ledger, "Key")[1] == "buy-1"
    assert "/orders?key=buy-1" in desk.get(TUX).links


def test_the_page_has_the_history(desk: DeskClient) -> None:
    desk.done(form(desk.get(TUX), "price"), price="24.5")
    history = desk.get(TUX).tables[1]
    assert column(history, "What") == ["price", "added"]
    assert column(history, "Price") == ["24.50\xa0EUR", "25.99\xa0EUR"]


@pytest.mark.parametrize(
    ("action", "typed", "says"),
    [
        ("restock", {"quantity": "20"}, "Tux: 20 pieces added, 100 in stock: entry 5"),
        ("restock", {"quantity": "1"}, "Tux: 1 piece added, 81 in stock: entry 5"),
        ("writeoff", {"quantity": "2", "note": "broken"}, "Tux: 2 pieces written off, 78 in stock: entry 5"),
        ("correct", {"quantity": "77", "note": "counted"}, "Tux: counted, 77 in stock (−3): entry 5"),
        ("price", {"price": "24.5"}, "Tux: costs 24.50 from now on: entry 5 of the history"),
    ],
)
def test_each_change_is_made_once_and_confirmed_by_the_books(
    desk: DeskClient, action: str, typed: dict[str, str], says: str
) -> None:
    filled = form(desk.get(TUX), action)
    assert desk.done(filled, **typed).only("done") == says
    assert desk.done(filled, **typed).only("done") == says
    page = desk.get(TUX)
    assert len(page.tables[0].rows) + len(page.tables[1].rows) == 2 + 2 + 1  # headers, first entries, the change


def test_a_repeated_form_finds_its_entry_behind_many_sales(
    desk: DeskClient, owner_catalog: OwnerCatalogStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsgi_apps.pages.desk.changes._PAGE", 3)
    filled = form(desk.get(TUX), "restock")
    desk.done(filled, quantity="1")
    for number in range(10):
        owner_catalog.restock("Tux", 1, f"k{number}")
    assert desk.done(filled, quantity="1").only("done") == "Tux: 1 piece added, 81 in stock: entry 5"


def test_a_product_is_retired_after_a_question(desk: DeskClient, catalog: CatalogStore) -> None:
    assert f"{TUX}/retire" in desk.get(TUX).links
    question = desk.get(f"{TUX}/retire")
    assert "This is for good" in question.text
    assert stock_of(catalog) == 80  # asking changes nothing
    page = desk.done(question.form(TUX, action="retire"))
    assert page.only("done") == "Tux: retired: entry 5 of the history"
    assert "no, retired" in page.text
    assert f"{TUX}/retire" not in page.links
    assert "retired already" in desk.get(f"{TUX}/retire").text


@pytest.mark.parametrize(
    ("action", "typed", "wrong", "problem"),
    [
        ("restock", {"quantity": "0"}, "restock", "The quantity '0' is not a whole number from 1 to 1,000,000,000."),
        (
            "restock",
            {"quantity": "1.5"},
            "restock",
            "The quantity '1.5' is not a whole number from 1 to 1,000,000,000.",
        ),
        ("writeoff", {"quantity": "81", "note": "x"}, "writeoff", "The stock of 'Tux' is 80 pieces, and not 81."),
        ("writeoff", {"quantity": "1", "note": " "}, "writeoff-note", "The note is empty."),
        (
            "correct",
            {"quantity": "x", "note": "y"},
            "correct",
            "The quantity 'x' is not a whole number from 0 to 1,000,000,000.",
        ),
        ("correct", {"quantity": "1", "note": "\x07"}, "correct-note", "The note has a control character."),
        ("price", {"price": "<b>"}, "price", "The price '<b>' is not a number such as 25.99."),
    ],
)
def test_an_error_stands_beside_its_form_which_keeps_key_and_text(
    desk: DeskClient, action: str, typed: dict[str, str], wrong: str | None, problem: str
) -> None:
    filled = form(desk.get(TUX), action)
    page = read_page(desk.send(filled, **typed), 400)
    assert page.only("problem") == problem
    again = form(page, action)
    assert again.fields == {**filled.fields, **typed}
    assert_marked(page, wrong, f"{action}-problem")


def test_a_form_that_was_sent_with_other_values_gets_a_new_key(desk: DeskClient, catalog: CatalogStore) -> None:
    filled = form(desk.get(TUX), "restock")
    desk.done(filled, quantity="20")
    page = read_page(desk.send(filled, quantity="30"), 422)
    assert "was sent before with other values" in page.only("problem")
    assert stock_of(catalog) == 100
    desk.done(form(page, "restock"))
    assert stock_of(catalog) == 130


def test_a_change_of_a_retired_product_says_so(desk: DeskClient, owner_catalog: OwnerCatalogStore) -> None:
    filled = form(desk.get(TUX), "restock")
    owner_catalog.retire("Tux", "k")
    page = read_page(desk.send(filled, quantity="1"), 404)
    assert page.only("problem") == "'Tux' was retired."


def test_an_unknown_product_is_not_found(desk: DeskClient) -> None:
    assert "product not found" in desk.get("/products/Nix", 404).text
    assert desk.json("/products/Nix", 404)["error"]["message"] == "product not found"
    assert desk.post("/products/Nix", {"action": "restock", "quantity": 1}, status=404)["error"]["code"] == 404


def test_an_unknown_action_is_refused(desk: DeskClient) -> None:
    assert desk.post(TUX, {"action": "burn"}, status=400)["error"]["code"] == 400


@pytest.mark.parametrize("back", ["https://evil.example/", "//evil.example", "/\\evil.example", "stock"])
def test_a_form_goes_back_to_the_desk_alone(desk: DeskClient, back: str) -> None:
    response = desk.send(form(desk.get(TUX), "restock"), quantity="1", back=back)
    assert response.headers["Location"] == "/?changed=Tux&entry=5"


def test_the_ledger_comes_by_pages(desk: DeskClient, owner_catalog: OwnerCatalogStore) -> None:
    for number in range(7):
        owner_catalog.restock("Tux", 1, f"k{number}")
    first = desk.json(f"{TUX}?limit=5")
    assert [entry["balance"] for entry in first["data"]["ledger"]] == [87, 86, 85, 84, 83]
    rest = desk.json(f"{TUX}?limit=5&before={first['next']}")
    assert ([entry["balance"] for entry in rest["data"]["ledger"]], rest["next"]) == ([82, 81, 80], None)
    page = desk.get(f"{TUX}?limit=5")
    assert f"{TUX}?before={first['next']}#ledger" in page.links
    assert f"{TUX}#ledger" in desk.get(f"{TUX}?before=6").links


def test_a_program_reads_the_product_as_json(desk: DeskClient) -> None:
    data = desk.json(TUX)["data"]
    assert (data["name"], data["price"], data["price_cents"], data["quantity"]) == ("Tux", 25.99, 2599, 80)
    assert [(entry["reason"], entry["delta"], entry["price"]) for entry in data["ledger"]] == [("initial", 80, 25.99)]
    assert [entry["what"] for entry in data["history"]] == ["added"]
    assert desk.json(f"{TUX}/retire")["data"]["retired"] is False


def test_a_program_changes_a_product_once(desk: DeskClient) -> None:
    body = {"action": "writeoff", "quantity": 2, "note": "broken"}
    first = desk.post(TUX, body, key="k1")
    assert first["data"]["made"] is True
    assert (first["data"]["entry"]["balance"], first["data"]["entry"]["key"]) == (78, "k1")
    assert desk.post(TUX, body, key="k1") == {"data": {**first["data"], "made": False}}
    assert desk.post(TUX, {**body, "quantity": 3}, key="k1", status=422)["error"]["code"] == 422
    assert desk.json(TUX)["data"]["quantity"] == 78


def test_the_chart_describes_the_stock(desk: DeskClient, checkout: Checkout) -> None:
    checkout.place(Buy("buy-1", "Tux", 3))
    page = desk.get(TUX)
    assert "Stock of Tux" in page.text
    assert "from 80 pieces to 77 pieces; the least was 77, the most 80" in page.text
    assert [values.get("role") for tag, values in page.tags if tag == "svg"] == ["img"]


def test_a_note_is_text(desk: DeskClient) -> None:
    note = '<img src=x onerror="alert(1)">'
    page = desk.done(form(desk.get(TUX), "writeoff"), quantity="1", note=note)
    assert column(page.tables[0], "Note")[0] == note
