"""The owner logs in to the desk in a browser. Nobody else does, and no page of another site sends its forms."""

import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.chromium import FOREIGN_NAME, Watch, show, visiting
from tests.browser.desk import SECRET, Desk, desk_of_a_store
from tests.browser.pages import assert_everybody_can_use_it, assert_it_fits
from tests.support.tiers import ROOT, free_port


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """The desk of a store that the tests of this file share."""
    with desk_of_a_store(tmp_path_factory.mktemp("desk") / "data") as desk:
        yield desk


def test_a_stranger_sees_the_login_page_alone(desk: Desk, page: Page) -> None:
    for path in ("/", "/stock", "/products/Tux", "/orders", "/orders.csv", "/takings", "/books", "/no/such/page"):
        page.goto(desk.url + path)
        expect(page).to_have_url(re.compile("/login"))
        expect(page.get_by_label("secret")).to_be_focused()
        expect(page.get_by_text("Tux")).to_have_count(0)
    assert_everybody_can_use_it(page)
    assert_it_fits(page)


def test_the_owner_logs_in_where_they_wanted_to_go_and_out(desk: Desk, page: Page) -> None:
    desk.log_in(page, "/orders?product=Tux")
    expect(page).to_have_url(f"{desk.url}/orders?product=Tux")
    [cookie] = page.context.cookies()
    assert (cookie.get("httpOnly"), cookie.get("sameSite")) == (True, "Strict")
    assert page.evaluate("document.cookie") == ""
    page.get_by_role("button", name="Log out").click()
    expect(page).to_have_url(re.compile("/login"))
    page.goto(desk.url + "/orders")
    expect(page.get_by_label("secret")).to_be_visible()
    page.context.add_cookies([cookie])  # type: ignore[list-item]
    page.goto(desk.url + "/orders")
    expect(page.get_by_label("secret")).to_be_visible()


def test_the_owner_logs_in_without_javascript(desk: Desk, plain_page: Page) -> None:
    plain_page.goto(desk.url + "/stock")
    plain_page.get_by_label("secret").fill(SECRET)
    plain_page.get_by_label("secret").press("Enter")
    expect(plain_page).to_have_url(f"{desk.url}/stock")
    expect(plain_page.get_by_role("main")).to_contain_text("Tux")


def test_a_link_logs_in_once(desk: Desk, browser: Browser, page: Page) -> None:
    command = [sys.executable, "-m", "admin", "login"]
    ended = subprocess.run(
        command, cwd=ROOT, env=desk.tiers.environment, capture_output=True, text=True, check=True
    )  # fmt: skip
    [link] = re.findall(r"http://\S+token=\S+", ended.stdout)
    page.goto(link)
    expect(page.get_by_role("button", name="Log out")).to_be_visible()
    assert "token" not in page.url
    with visiting(browser) as another:
        again = another.new_page()
        reply = again.goto(link)
        assert reply is not None and reply.status == 403
        expect(again.get_by_role("alert")).to_contain_text("used already")
        expect(again.get_by_role("button", name="Log out")).to_have_count(0)
    assert "token=" not in desk.tiers.log.read_text()


def test_a_stolen_cookie_without_its_token_changes_nothing(desk: Desk, page: Page, browser: Browser) -> None:
    """The thief has the cookie in a browser of their own, but no page of the desk: they cannot read the token."""
    desk.log_in(page, "/stock")
    before = desk.shop.stock("Tux")
    with visiting(browser, watch=Watch(tolerated={403})) as thief:
        thief.add_cookies(page.context.cookies())  # type: ignore[arg-type]
        for values in ({}, {"token": "guessed"}):
            reply = thief.request.post(
                f"{desk.url}/products/Tux",
                form={"action": "restock", "quantity": "5", "key": "stolen", **values},
                headers={"Origin": desk.url},
            )
            assert reply.status in (403, 405)
            reply = thief.request.post(
                f"{desk.url}/stock", form={"key": "stolen", **values}, headers={"Origin": desk.url}
            )
            assert reply.status in (403, 405)
    assert desk.shop.stock("Tux") == before


def forms_of(page: Page) -> list[dict[str, object]]:
    """Returns the action and the fields of each form of the page that changes something, apart from the logout."""
    found: list[dict[str, object]] = page.evaluate(
        """() => [...document.forms]
            .map(form => ({
                action: new URL(form.getAttribute('action'), location).href,  // the forms have a field `action`
                fields: Object.fromEntries(new FormData(form)),
                changes: form.method === 'post',
            }))
            .filter(({action, changes}) => changes && !action.endsWith('/logout'))"""
    )
    return found


@pytest.fixture
def owner(victim: Page, desk: Desk) -> Page:
    """A page of the owner, who is logged in and visits a bad site."""
    desk.log_in(victim)
    return victim


@pytest.mark.parametrize("host", ["the shop", "127.0.0.1", "localhost", FOREIGN_NAME])
def test_a_page_of_another_site_sends_the_desks_form(desk: Desk, owner: Page, host: str) -> None:
    """The shop's port is another site for the desk, although it is the same host, whose cookies know no ports."""
    owner.goto(desk.url + "/products/Tux")
    restock = next(form for form in forms_of(owner) if "quantity" in form["fields"])  # type: ignore[operator]
    before = desk.shop.stock("Tux")
    page = owner.context.new_page()
    show(page, desk.shop.url + "/shop" if host == "the shop" else f"http://{host}:{free_port()}/", "<body>")
    with page.expect_navigation() as navigation:
        page.evaluate(
            """({action, fields}) => {
                const form = document.body.appendChild(document.createElement('form'));
                form.action = action;
                form.method = 'post';
                for (const [name, value] of Object.entries({...fields, quantity: '5'}))
                    form.appendChild(Object.assign(document.createElement('input'), {name, value}));
                form.submit();
            }""",
            restock,
        )
    # Without its cookie, the browser is a stranger's; with it, the Origin is foreign.
    assert (navigation.value is not None and navigation.value.status == 403) or "/login" in page.url
    assert desk.shop.stock("Tux") == before


def test_a_link_of_another_site_opens_the_desk_and_changes_nothing(desk: Desk, owner: Page) -> None:
    """The browser sends no Strict cookie with such a link. The desk goes on by itself, as it does from a chat."""
    page = owner.context.new_page()
    show(page, f"http://localhost:{free_port()}/", f"<a href='{desk.url}/stock'>the desk</a>")
    page.get_by_role("link").click()
    expect(page).to_have_url(f"{desk.url}/stock")
    expect(page.get_by_role("main")).to_contain_text("Tux")


def test_no_page_frames_the_desk(desk: Desk, owner: Page) -> None:
    page = owner.context.new_page()
    show(page, desk.shop.url + "/shop", "<body>")
    page.evaluate(
        "url => document.body.append(Object.assign(document.createElement('iframe'), {src: url}))", desk.url + "/stock"
    )
    page.wait_for_function("document.querySelector('iframe').contentDocument === null")
    expect(page.frame_locator("iframe").get_by_role("main")).to_have_count(0)


def test_five_wrong_secrets_slow_the_asker_down(
    visitor: BrowserContext, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """On a store of its own: the desk counts by address, and all tests have one."""
    with desk_of_a_store(tmp_path_factory.mktemp("throttled") / "data") as desk:
        page = visitor.new_page()
        page.goto(desk.url)
        for number in range(6):
            page.get_by_label("secret").fill(f"a wrong secret {number}")
            with page.expect_navigation() as navigation:
                page.get_by_role("button", name="Log in").click()
            assert navigation.value is not None
            assert navigation.value.status == (403 if number < 5 else 429)
            expect(page.get_by_role("alert")).to_be_visible()
            if number in (0, 5):
                assert_everybody_can_use_it(page)
                assert_it_fits(page)
        page.get_by_label("secret").fill(SECRET)
        with page.expect_navigation() as navigation:
            page.get_by_role("button", name="Log in").click()
        assert navigation.value is not None and navigation.value.status == 429
        assert int(navigation.value.headers["retry-after"]) > 0
        expect(page.get_by_role("button", name="Log out")).to_have_count(0)
