"""The owner works at the desk in a browser: stock, orders, returns, takings, books. Each form does its work once."""

import csv
import io
import json
import re
from collections.abc import Iterator

import pytest
import requests
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.chromium import Watch, visiting
from tests.browser.desk import Desk, desk_of_a_store
from tests.browser.pages import assert_everybody_can_use_it, assert_it_fits
from tests.support.books import assert_audit_is_clean, query


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """The desk of a store that the tests of this file share."""
    with desk_of_a_store(tmp_path_factory.mktemp("desk") / "data", CURRENCY="EUR") as desk:
        yield desk


@pytest.fixture(params=["with JavaScript", "without JavaScript"])
def owner(request: pytest.FixtureRequest, browser: Browser, desk: Desk) -> Iterator[Page]:
    """A page of the owner, who is logged in, once with JavaScript and once without."""
    with visiting(browser, javascript=request.param == "with JavaScript") as visitor:
        page = visitor.new_page()
        desk.log_in(page)
        yield page


@pytest.fixture
def seeing_owner(browser: Browser, desk: Desk) -> Iterator[Page]:
    """A page of the owner, who is logged in, with JavaScript alone."""
    with visiting(browser) as visitor:
        page = visitor.new_page()
        desk.log_in(page)
        yield page


@pytest.fixture
def product(desk: Desk) -> str:
    """A product of this test, 20 pieces at 25.99."""
    return desk.shop.new()


def form(page: Page, button: str) -> Locator:
    """Returns the form whose button has this name."""
    return page.locator("form").filter(has=page.get_by_role("button", name=button, exact=True)).first


def send(page: Page, button: str, **fields: str) -> None:
    """Fills the fields of the form of this button, by their names, and sends it."""
    wanted = form(page, button)
    for name, value in fields.items():
        wanted.locator(f"[name={name}]").fill(value)
    wanted.get_by_role("button", name=button, exact=True).click()


def open_product(page: Page, desk: Desk, product: str) -> None:
    """Opens the page of a product, as the owner finds it in the stock."""
    page.goto(desk.url + "/stock")
    page.get_by_role("searchbox").fill(product)
    page.get_by_role("searchbox").press("Enter")
    page.get_by_role("link", name=product, exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(product)


def buy(desk: Desk, product: str, quantity: int, key: str) -> str:
    """Buys at the shop, and returns the number of the order."""
    reply = requests.post(f"{desk.shop.url}/{product}/{quantity}", headers={"Idempotency-Key": key}, timeout=60)
    assert reply.status_code == 200, reply.text
    return str(reply.json()["data"]["order_number"])


def ledger(desk: Desk, product: str) -> list[tuple[int, str]]:
    """Returns change and reason of each entry of a product."""
    rows = query(desk.tiers.data_dir / "catalog.db", "SELECT delta, reason, product FROM stock_ledger ORDER BY entry")
    return [(delta, reason) for delta, reason, name in rows if name == product]


def test_the_owner_restocks_and_the_ledger_confirms(desk: Desk, owner: Page, product: str) -> None:
    open_product(owner, desk, product)
    send(owner, "Restock", quantity="15")
    status = owner.get_by_role("status")
    expect(status).to_contain_text("15")
    expect(status).to_contain_text("35 in stock")
    for _ in range(2):
        owner.reload()
        expect(owner.get_by_role("main")).to_contain_text("35")
    assert ledger(desk, product) == [(20, "initial"), (15, "restock")]


def test_a_double_click_restocks_once(desk: Desk, owner: Page, product: str) -> None:
    open_product(owner, desk, product)
    form(owner, "Restock").locator("[name=quantity]").fill("15")
    form(owner, "Restock").get_by_role("button", name="Restock", exact=True).dblclick(no_wait_after=True)
    expect(owner.get_by_role("status")).to_contain_text("35 in stock")
    assert ledger(desk, product) == [(20, "initial"), (15, "restock")]


def test_the_owner_sells_less_for_another_price(desk: Desk, owner: Page, product: str) -> None:
    open_product(owner, desk, product)
    send(owner, "Write off", quantity="3", note="a box fell")
    expect(owner.get_by_role("status")).to_contain_text("17 in stock")
    send(owner, "Change price", price="12.50")
    expect(owner.get_by_role("status")).to_contain_text("12.50")
    expect(owner.get_by_role("main")).to_contain_text("12.50 EUR")
    assert ledger(desk, product)[1:] == [(-3, "writeoff")]
    reply = requests.get(f"{desk.shop.url}/products/{product}", timeout=60).json()
    assert reply["data"] == {"name": product, "price": 12.5, "quantity": 17}


def test_a_wrong_number_is_explained_beside_its_field(desk: Desk, owner: Page, product: str) -> None:
    open_product(owner, desk, product)
    owner.evaluate("for (const form of document.forms) form.noValidate = true")
    send(owner, "Write off", quantity="21", note="all of them")
    expect(owner.get_by_role("main")).to_contain_text("20")
    field = form(owner, "Write off").locator("[name=quantity]")
    expect(field).to_have_value("21")
    expect(field).to_have_attribute("aria-invalid", "true")
    assert ledger(desk, product) == [(20, "initial")]


def test_the_owner_adds_a_product_and_retires_it(desk: Desk, owner: Page, product: str) -> None:
    name = product.replace("Toy", "Added")
    owner.goto(desk.url + "/stock")
    owner.get_by_text("Add a product").click()
    send(owner, "Add", name=name, price="4.20", quantity="7")
    expect(owner.get_by_role("status")).to_contain_text(name)
    assert ledger(desk, name) == [(7, "initial")]
    open_product(owner, desk, name)
    shown = f"{desk.shop.url}/products/{name}"
    assert requests.get(shown, timeout=60).json()["data"] == {"name": name, "price": 4.2, "quantity": 7}
    owner.get_by_role("link", name="Retire this product").click()
    expect(owner.get_by_role("main")).to_contain_text("for good")
    assert requests.get(shown, timeout=60).status_code == 200, "a link retires nothing"
    owner.get_by_role("button", name="Retire for good").click()
    expect(owner.get_by_role("status")).to_contain_text("retired")
    assert requests.get(shown, timeout=60).status_code == 404


def test_the_owner_takes_pieces_back(desk: Desk, owner: Page, product: str) -> None:
    number = buy(desk, product, 3, f"bought {product}".replace(" ", "-"))
    owner.goto(f"{desk.url}/orders?product={product}")
    owner.get_by_role("link", name=number, exact=True).click()
    expect(owner).to_have_url(f"{desk.url}/orders/{number}")
    send(owner, "Give back", quantity="2", note="the wrong colour")
    expect(owner.get_by_role("status")).to_contain_text("2")
    assert desk.shop.stock(product) == 19
    owner.reload()
    assert desk.shop.stock(product) == 19
    owner.evaluate("for (const form of document.forms) form.noValidate = true")
    send(owner, "Give back", quantity="2", note="")
    expect(owner.get_by_role("main")).to_contain_text("1 of its pieces left")
    assert desk.shop.stock(product) == 19
    assert_audit_is_clean(desk.tiers.data_dir)


def test_the_owner_exports_a_selection_as_csv(desk: Desk, owner: Page) -> None:
    product = desk.shop.new("=SUM(A1)")
    for number in range(3):
        buy(desk, product, 1, f"export-{product}-{number}".replace(" ", "-"))
    owner.goto(desk.url + "/orders")
    owner.get_by_label("Product").fill(product)
    owner.get_by_role("button", name="Show").click()
    expect(owner.get_by_role("main").get_by_role("row")).to_have_count(1 + 3)
    with owner.expect_download() as download:
        owner.get_by_role("link", name=re.compile("csv", re.IGNORECASE)).click()
    assert download.value.suggested_filename.endswith(".csv")
    rows = list(csv.reader(io.StringIO(download.value.path().read_text("utf-8-sig"))))
    assert len(rows) == 1 + 3
    assert all(any(cell == f"'{product}" for cell in row) for row in rows[1:]), "no cell begins a formula"


def test_the_takings_are_a_chart_and_a_table(desk: Desk, owner: Page, product: str) -> None:
    buy(desk, product, 2, f"taking-{product}".replace(" ", "-"))
    owner.goto(desk.url + "/takings")
    expect(owner.get_by_role("img").first).to_be_visible()
    expect(owner.get_by_role("row").filter(has_text=product).first).to_contain_text("51.98")


def test_the_books_are_audited_and_backed_up(desk: Desk, owner: Page) -> None:
    owner.goto(desk.url + "/books")
    owner.get_by_role("button", name="Audit now").click()
    expect(owner.get_by_role("status")).to_contain_text("the books are right")
    before = max(1, owner.get_by_role("table", name="Backups").get_by_role("row").count())
    owner.get_by_role("button", name="Back up now").click()
    expect(owner.get_by_role("status")).to_contain_text("is made")
    expect(owner.get_by_role("table", name="Backups").get_by_role("row")).to_have_count(before + 1)


PAGES = {
    "stock": "/stock",
    "searched stock": "/stock?q=zzz",
    "product": "/products/Tux",
    "unknown product": "/products/nothing",
    "orders": "/orders",
    "refused orders": "/orders?number=-1",
    "order": "/orders/0",
    "unknown order": "/orders/999999",
    "takings": "/takings",
    "books": "/books",
    "unknown page": "/no/such/page",
}


def test_a_phone_shows_the_newest_part_of_a_chart(desk: Desk, seeing_owner: Page, product: str) -> None:
    buy(desk, product, 1, "bought-for-a-phone")
    seeing_owner.set_viewport_size({"width": 320, "height": 800})
    for path, mark in (("/takings", ".bar"), (f"/products/{product}", ".dot")):
        seeing_owner.goto(desk.url + path)
        newest = seeing_owner.locator(f".chart {mark}").last.bounding_box()
        assert newest and 0 <= newest["x"] <= newest["x"] + newest["width"] <= 320


def test_an_order_is_one_line_on_a_phone(desk: Desk, seeing_owner: Page) -> None:
    key = "4849f332-f79f-4a1c-9e92-efbee8906d2f"
    buy(desk, "Tux", 1, key)
    seeing_owner.set_viewport_size({"width": 320, "height": 800})
    seeing_owner.goto(f"{desk.url}/orders?key={key}")
    head, row = (seeing_owner.locator(f"{part} tr").bounding_box() for part in ("thead", "tbody"))
    assert head and row and row["height"] < 1.5 * head["height"]


@pytest.mark.parametrize("path", [f"/{page}?from=2026-11-02&to=2026-11-01" for page in ("orders", "takings")])
def test_what_is_wrong_with_a_selection_stands_on_a_line_of_its_own(desk: Desk, seeing_owner: Page, path: str) -> None:
    seeing_owner.set_viewport_size({"width": 1440, "height": 800})
    seeing_owner.goto(desk.url + path)
    alert = seeing_owner.get_by_role("alert").bounding_box()
    form_around = seeing_owner.locator("form").filter(has=seeing_owner.get_by_role("alert")).bounding_box()
    assert alert and form_around and alert["width"] == form_around["width"]


@pytest.mark.parametrize("path", PAGES.values(), ids=PAGES)
def test_everybody_can_use_each_page_of_the_desk(desk: Desk, seeing_owner: Page, path: str) -> None:
    buy(desk, "Tux", 1, "the-first-order-of-all")
    seeing_owner.goto(desk.url + path)
    assert_everybody_can_use_it(seeing_owner)
    assert_it_fits(seeing_owner)
    assert seeing_owner.title()


@pytest.mark.parametrize("path", PAGES.values(), ids=PAGES)
def test_each_page_has_its_json_twin(desk: Desk, seeing_owner: Page, path: str) -> None:
    """The browser sends the session's cookie with it."""
    reply = seeing_owner.request.get(desk.url + path, headers={"Accept": "application/json"})
    assert reply.headers["content-type"].startswith("application/json")
    body = json.loads(reply.text())
    assert ("data" in body) == reply.ok and ("error" in body) == (not reply.ok)


def test_a_change_without_an_answer_is_sent_again_and_made_once(desk: Desk, browser: Browser, product: str) -> None:
    """The catalog is suspended for longer than the desk waits. The page keeps the key, and offers to send again."""
    with visiting(browser, watch=Watch(tolerated={503})) as visitor:
        page = visitor.new_page()
        desk.log_in(page)
        open_product(page, desk, product)
        with desk.shop.suspended("catalog"):
            send(page, "Restock", quantity="4")
            expect(page.get_by_role("main")).to_contain_text(re.compile("catalog", re.IGNORECASE))
        page.get_by_role("button", name="Send again").click()
        expect(page.get_by_role("status")).to_contain_text("24 in stock")
        assert ledger(desk, product) == [(20, "initial"), (4, "restock")]


def test_the_owner_uses_the_keyboard_alone(desk: Desk, seeing_owner: Page) -> None:
    page = seeing_owner
    page.goto(desk.url + "/stock")
    page.keyboard.press("Tab")
    assert "main" in page.evaluate("document.activeElement.hash"), "the first stop skips the navigation"
    current = page.get_by_role("navigation").locator("[aria-current=page]")
    expect(current).to_have_count(1)


def test_the_page_of_the_desks_api_works_in_the_session_of_the_owner(desk: Desk, seeing_owner: Page) -> None:
    page = seeing_owner
    page.goto(desk.url + "/docs")
    expect(page.get_by_role("heading", name="The API of the owner's desk")).to_be_visible()
    audit = page.locator("#operations-books-audit")
    audit.locator(".opblock-summary-control").click()
    audit.get_by_role("button", name="Try it out").click()
    with page.expect_response("**/books/audits") as answer:
        audit.get_by_role("button", name="Execute").click()
    assert answer.value.json()["data"]["is_clean"] is True
