"""A shopper buys in a browser. Whatever is clicked, reloaded or sent again: one order, one receipt."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.chromium import Watch, visiting
from tests.browser.shop import Shop, buy_button, expect_receipt, pieces


@pytest.fixture(params=["with JavaScript", "without JavaScript"])
def shopper(request: pytest.FixtureRequest, browser: Browser, watch: Watch) -> Iterator[Page]:
    """A page of a visitor, once with JavaScript and once without."""
    with visiting(browser, javascript=request.param == "with JavaScript", watch=watch) as visitor:
        yield visitor.new_page()


@pytest.fixture
def product(shop: Shop) -> str:
    """A product of this test, 20 pieces at 25.99."""
    return shop.new()


def test_a_shopper_finds_a_product_and_buys_it(shop: Shop, shopper: Page, product: str) -> None:
    shopper.goto(shop.url)
    shopper.get_by_role("searchbox").fill(product)
    shopper.get_by_role("searchbox").press("Enter")
    shopper.get_by_role("link", name=product).click()
    expect(shopper.get_by_role("heading", level=1)).to_have_text(product)
    expect(shopper.get_by_role("main")).to_contain_text("25.99")
    expect(shopper.get_by_role("main")).to_contain_text("20 in stock")
    pieces(shopper).fill("3")
    buy_button(shopper).click()
    expect_receipt(shopper, product, 3, total="77.97")
    key = shop.sold_once(product, 3)
    assert shopper.url.startswith(shop.receipt(key))
    [(number, _, _)] = shop.orders(product)
    main = shopper.get_by_role("main")
    for text in (str(number), product, "3", "25.99", "77.97"):
        expect(main).to_contain_text(text)
    expect(main.locator("time")).to_have_attribute("datetime", re.compile(r"^20\d\d-\d\d-\d\dT"))


def test_a_double_click_buys_once(shop: Shop, shopper: Page, product: str) -> None:
    shopper.goto(shop.address(product))
    buy_button(shopper).dblclick(no_wait_after=True)
    expect_receipt(shopper, product)
    shop.sold_once(product)


def test_a_second_click_before_the_answer_buys_once(shop: Shop, shopper: Page, product: str, watch: Watch) -> None:
    """The order tier is suspended, so the first click has no answer yet when the second one comes."""
    watch.tolerated.add(503)  # on a slow machine the page gives up waiting, and asks again by itself
    shopper.goto(shop.address(product))
    box = buy_button(shopper).bounding_box()
    assert box is not None
    with shop.suspended("order"):
        for _ in range(2):
            with shopper.expect_request(lambda request: request.method == "POST"):
                shopper.mouse.click(box["x"] + 5, box["y"] + 5)
    expect_receipt(shopper, product)
    shop.sold_once(product)


def test_a_reloaded_receipt_buys_nothing(shop: Shop, shopper: Page, product: str) -> None:
    shopper.goto(shop.address(product))
    buy_button(shopper).click()
    expect_receipt(shopper, product)
    for _ in range(2):
        shopper.reload()
        expect_receipt(shopper, product)
    shop.sold_once(product)


def test_back_and_send_again_shows_the_same_receipt(shop: Shop, shopper: Page, product: str) -> None:
    shopper.goto(shop.address(product))
    buy_button(shopper).click()
    expect_receipt(shopper, product)
    receipt = shopper.url.partition("?")[0]
    shopper.go_back()
    buy_button(shopper).click()
    expect_receipt(shopper, product)
    assert shopper.url.partition("?")[0] == receipt
    shop.sold_once(product)
    expect(shopper.get_by_role("main")).to_contain_text("already")


def test_a_shopper_may_buy_more(shop: Shop, shopper: Page, product: str) -> None:
    """A page that is opened anew, by the shop's own links, has a new key."""
    for _ in range(2):
        shopper.goto(shop.url)
        shopper.get_by_role("searchbox").fill(product)
        shopper.get_by_role("searchbox").press("Enter")
        shopper.get_by_role("link", name=product).click()
        buy_button(shopper).click()
        expect_receipt(shopper, product)
    assert len(shop.orders(product)) == 2


def test_two_tabs_race_for_the_last_piece(shop: Shop, browser: Browser, watch: Watch) -> None:
    product = shop.new("Last", quantity=1)
    with visiting(browser, watch=watch) as one, visiting(browser, watch=watch) as two:
        tabs = [one.new_page(), two.new_page()]
        for tab in tabs:
            tab.goto(shop.address(product))
            expect(tab.get_by_role("main")).to_contain_text("last 1")
        with shop.suspended("order"):  # both are under way before either is answered
            for tab in tabs:
                with tab.expect_request(lambda request: request.method == "POST"):
                    buy_button(tab).click(no_wait_after=True)
        for tab in tabs:
            expect(tab.get_by_role("main")).to_contain_text(re.compile("Total|sold out|out of stock", re.IGNORECASE))
        receipts = [tab for tab in tabs if tab.get_by_text("Total").count()]
        refused = [tab for tab in tabs if tab not in receipts]
        assert len(receipts) == len(refused) == 1
        shop.sold_once(product)
        assert shop.stock(product) == 0
        assert refused[0].get_by_role("main").get_by_role("link").count(), "a refusal has a way on"


def test_a_buy_of_more_than_is_left_is_refused_with_the_reason(shop: Shop, shopper: Page, product: str) -> None:
    shopper.goto(shop.address(product))
    pieces(shopper).fill("5")
    shop.write_off(product, 17)
    # The page may have noticed already, and its form would not send so many pieces.
    shopper.evaluate("document.querySelector('main form[method=post]').noValidate = true")
    buy_button(shopper).click()
    main = shopper.get_by_role("main")
    expect(main).to_contain_text(re.compile("out of stock|not enough|fewer|sold out|left", re.IGNORECASE))
    assert main.get_by_role("link").count(), "a refusal has a way on"
    assert shop.orders(product) == []
    shopper.reload()
    assert shop.orders(product) == []


def test_a_product_that_is_retired_meanwhile_is_refused(shop: Shop, shopper: Page, product: str) -> None:
    shopper.goto(shop.address(product))
    shop.retire(product)
    buy_button(shopper).click()
    main = shopper.get_by_role("main")
    expect(main).to_contain_text(re.compile("not found|no longer|not sold", re.IGNORECASE))
    assert main.get_by_role("link").count(), "a refusal has a way on"
    assert shop.orders(product) == []


def test_a_sold_out_product_has_no_form(shop: Shop, shopper: Page) -> None:
    product = shop.new("Gone", quantity=0)
    shopper.goto(shop.address(product))
    expect(shopper.get_by_role("main")).to_contain_text(re.compile("sold out", re.IGNORECASE))
    expect(buy_button(shopper)).to_have_count(0)


def test_a_receipt_is_found_by_its_key_alone(shop: Shop, shopper: Page, product: str, watch: Watch) -> None:
    shopper.goto(shop.address(product))
    buy_button(shopper).click()
    expect_receipt(shopper, product)
    [(number, _, _)] = shop.orders(product)
    reply = shopper.goto(shop.receipt(str(number)))
    assert reply is not None and reply.status == 404
    expect(shopper.get_by_role("main")).not_to_contain_text("25.99")


def press_tab_to(page: Page, role: str, name: str | re.Pattern[str]) -> None:
    """Presses Tab until the element of this role and name has the focus."""
    wanted = page.get_by_role(role, name=name).first  # type: ignore[arg-type]
    for _ in range(60):
        page.keyboard.press("Tab")
        if wanted.evaluate("element => element === document.activeElement"):
            return
    raise AssertionError(f"60 tabs do not reach the {role} {name!r}")


def test_a_shopper_buys_by_the_keyboard_alone(shop: Shop, shopper: Page, product: str) -> None:
    shopper.goto(shop.url)
    shopper.keyboard.press("Tab")
    assert "main" in shopper.evaluate("document.activeElement.hash"), "the first stop skips the navigation"
    press_tab_to(shopper, "searchbox", re.compile(""))
    shopper.keyboard.type(product)
    shopper.keyboard.press("Enter")
    expect(shopper).to_have_url(re.compile("q="))
    press_tab_to(shopper, "link", re.compile(re.escape(product)))
    shopper.keyboard.press("Enter")
    expect(shopper.get_by_role("heading", level=1)).to_have_text(product)
    press_tab_to(shopper, "spinbutton", re.compile(""))
    shopper.keyboard.press("Control+A")
    shopper.keyboard.type("2")
    press_tab_to(shopper, "button", re.compile("^buy", re.IGNORECASE))
    shopper.keyboard.press("Enter")
    expect_receipt(shopper, product, 2)
    shop.sold_once(product, 2)


def test_the_focus_is_visible_everywhere(shop: Shop, page: Page, product: str) -> None:
    """Each stop of the Tab key has an outline, or looks different from how it looks without the focus."""
    page.goto(shop.address(product))
    seen = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        found = page.evaluate(
            """() => {
                const element = document.activeElement, style = getComputedStyle(element);
                return [element.outerHTML.slice(0, 120), element.tagName, style.outlineStyle, style.boxShadow];
            }"""
        )
        if found[1] == "BODY" or found[0] in seen:
            break
        seen.add(found[0])
        assert found[2] != "none" or found[3] != "none", f"no visible focus: {found[0]}"
    assert len(seen) >= 3


def test_a_shared_address_shows_nobody_the_receipt_of_another(
    shop: Shop, shopper: Page, browser: Browser, product: str, watch: Watch
) -> None:
    """Both buy, in either order of Back and send again, and each has a receipt."""
    shopper.goto(shop.address(product))
    address = shopper.url
    with visiting(browser, watch=watch) as friend:
        other = friend.new_page()
        for page in (shopper, other):
            page.goto(address)
            buy_button(page).click()
            expect_receipt(page, product)
            expect(page.get_by_role("main")).not_to_contain_text("already")
        shopper.go_back()
        buy_button(shopper).click()
        expect_receipt(shopper, product)
        expect(shopper.get_by_role("main")).to_contain_text("already")
        assert shopper.url.partition("?")[0] != other.url
    assert len(shop.orders(product)) == 2


def test_the_visitor_gets_one_cookie_that_says_nothing(shop: Shop, visitor: BrowserContext, product: str) -> None:
    """It is gone with the browser, no script reads it, and it stays the same."""
    page, seen = visitor.new_page(), set()
    for address in (shop.url, shop.address(product), shop.address(product)):
        page.goto(address)
        [cookie] = visitor.cookies()
        assert (cookie["name"], cookie["expires"], cookie["httpOnly"], cookie["sameSite"]) == ("shop", -1, True, "Lax")
        seen.add(cookie["value"])
    assert len(seen) == 1
