"""The pages of the shop in a browser: everybody can use them, they are small, load nothing from elsewhere, and live."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Dialog, Page, expect

from tests.browser.chromium import Watch, visiting
from tests.browser.pages import assert_everybody_can_use_it, assert_it_fits, describe, measuring
from tests.browser.shop import Shop, buy_button, expect_receipt, pieces
from tests.support.tiers import products_file, running

MAX_FIRST_VIEW_BYTES = 40_000
PRODUCTS = 60


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The shop of a store with more products than fit on a page: some are sold out or nearly, one has a picture."""
    folder = tmp_path_factory.mktemp("shop")
    names = ["Tux", "Whale", *(f"A toy with the number {number}" for number in range(PRODUCTS))]
    lines = [f'"{name}" 25.99 {(0, 3, 80)[number % 3]}' for number, name in enumerate(names)]
    with running(folder / "data", PRODUCTS=products_file(folder, *lines), CURRENCY="EUR") as tiers:
        yield Shop(tiers)


@pytest.fixture
def addresses(shop: Shop) -> dict[str, str]:
    """The address of a page of each kind that a GET shows."""
    return {
        "grid": shop.url,
        "last page": f"{shop.url}/?q=toy",
        "nothing found": f"{shop.url}/?q=zzz",
        "product": shop.address("A toy with the number 0"),
        "nearly sold out": shop.address("Whale"),
        "sold out": shop.address("Tux"),
        "unknown product": shop.address("nothing"),
        "unknown page": f"{shop.url}/no/such/page",
        "unknown receipt": shop.receipt("no-such-key"),
        "asked again": f"{shop.receipt('typed')}?product=Whale&quantity=1",
    }


KINDS = [
    "grid",
    "last page",
    "nothing found",
    "product",
    "nearly sold out",
    "sold out",
    "unknown product",
    "unknown page",
    "unknown receipt",
    "asked again",
]


@pytest.mark.parametrize("kind", KINDS)
def test_everybody_can_use_each_page(page: Page, addresses: dict[str, str], kind: str) -> None:
    page.goto(addresses[kind])
    assert_everybody_can_use_it(page)
    assert_it_fits(page)
    assert page.title()
    assert page.locator("html").get_attribute("lang") == "en"


def test_everybody_can_use_a_receipt_and_a_refusal(shop: Shop, page: Page) -> None:
    product = shop.new(quantity=2)
    page.goto(shop.address(product))
    buy_button(page).click()
    expect_receipt(page, product)
    assert_everybody_can_use_it(page)
    assert_it_fits(page)
    page.goto(shop.address(product))
    shop.write_off(product, 1)
    buy_button(page).click()
    expect(page.get_by_role("main")).to_contain_text(re.compile("out of stock|sold out", re.IGNORECASE))
    assert_everybody_can_use_it(page)
    assert_it_fits(page)


def test_the_first_view_is_small_and_loads_nothing_from_elsewhere(shop: Shop, page: Page) -> None:
    for address in (shop.url, shop.address("Whale")):
        page.goto("about:blank")
        with measuring(page) as traffic:
            page.goto(address, wait_until="networkidle")
        assert traffic.hosts == {urlsplit(shop.url).netloc}
        assert traffic.total_bytes <= MAX_FIRST_VIEW_BYTES, describe(traffic)


def test_a_second_page_loads_no_file_again(shop: Shop, page: Page) -> None:
    page.goto(shop.url, wait_until="networkidle")
    with measuring(page) as traffic:
        page.goto(shop.address("Whale"), wait_until="networkidle")
        page.goto(shop.url, wait_until="networkidle")
    assert not [url for url, received in traffic.bytes_by_url.items() if "/static/" in url and received]


def test_a_search_and_the_pages_show_each_product_once(shop: Shop, page: Page) -> None:
    page.goto(shop.url)
    page.get_by_role("searchbox").fill("NUMBER")
    page.get_by_role("searchbox").press("Enter")
    seen: list[str] = []
    while True:
        expect(page.get_by_role("searchbox")).to_have_value("NUMBER")
        links = page.get_by_role("main").get_by_role("link", name=re.compile("^A toy with the number"))
        seen += [re.sub(r"\D*(\d+).*", r"\1", text, flags=re.DOTALL) for text in links.all_inner_texts()]
        following = page.get_by_role("link", name=re.compile("^next", re.IGNORECASE))
        if not following.count():
            break
        following.click()
        page.wait_for_load_state()
    assert sorted(seen, key=int) == [str(number) for number in range(PRODUCTS)]


def test_a_search_without_a_result_says_so(shop: Shop, page: Page) -> None:
    page.goto(f"{shop.url}/?q=zzz")
    expect(page.get_by_role("main")).to_contain_text("zzz")
    assert page.get_by_role("main").get_by_role("link").count(), "there is a way back to all products"


def test_the_stock_is_told_as_people_say_it(shop: Shop, page: Page) -> None:
    for product, text in (("A toy with the number 0", "80 in stock"), ("Whale", "last 3"), ("Tux", "sold out")):
        page.goto(shop.address(product))
        expect(page.get_by_role("main")).to_contain_text(re.compile(text, re.IGNORECASE))
        expect(page.get_by_role("main")).to_contain_text("25.99 EUR")


def hide(page: Page, hidden: bool) -> None:
    """Makes the page believe that its tab is hidden, or shown again: a headless browser hides no tab."""
    page.evaluate(
        """hidden => {
            Object.defineProperty(document, 'hidden', {value: hidden, configurable: true});
            const state = hidden ? 'hidden' : 'visible';
            Object.defineProperty(document, 'visibilityState', {value: state, configurable: true});
            document.dispatchEvent(new Event('visibilitychange'));
        }""",
        hidden,
    )


def test_the_stock_is_live_while_the_page_is_visible(shop: Shop, page: Page) -> None:
    """The page's clock is the test's: hours pass while it is hidden."""
    product = shop.new(quantity=80)
    page.clock.install()
    asked: list[int] = []
    page.on("response", lambda reply: asked.append(reply.status) if "/products/" in reply.url else None)
    page.goto(shop.address(product))
    main = page.get_by_role("main")
    expect(main).to_contain_text("80 in stock")
    shop.write_off(product, 20)
    with page.expect_response(lambda reply: "/products/" in reply.url):
        page.clock.run_for(2_100)
    expect(main).to_contain_text("60 in stock")
    hide(page, True)
    before = len(asked)
    page.clock.run_for(3_600_000)
    assert len(asked) <= before + 1, "one request may have been under way"
    shop_shows = shop.stock(product)
    assert shop_shows == 60
    with page.expect_response(lambda reply: "/products/" in reply.url):
        hide(page, False)
        page.clock.run_for(2_100)
    expect(main).to_contain_text("60 in stock")


def test_a_stock_that_does_not_change_costs_no_body(shop: Shop, page: Page) -> None:
    product = shop.new(quantity=80)
    page.clock.install()
    with measuring(page) as traffic:
        page.goto(shop.address(product))
        statuses: list[int] = []
        for _ in range(3):
            with page.expect_response(lambda reply: "/products/" in reply.url) as reply:
                page.clock.run_for(2_100)
            statuses.append(reply.value.status)
    assert 304 in statuses, (statuses, describe(traffic))


def test_a_product_that_sells_out_meanwhile_loses_its_form(shop: Shop, page: Page) -> None:
    product = shop.new(quantity=2)
    page.clock.install()
    page.goto(shop.address(product))
    shop.write_off(product, 2)
    with page.expect_response(lambda reply: "/products/" in reply.url):
        page.clock.run_for(2_100)
    expect(page.get_by_role("main")).to_contain_text(re.compile("sold out", re.IGNORECASE))
    expect(buy_button(page).and_(page.locator(":enabled:visible"))).to_have_count(0)


# Names that a page could show, or send, wrongly. The shop's own words are among them.
NAMES = [
    '"><script>throw new Error(1)<!--<b title="',
    "<img src=x onerror=alert(1)>",
    "' onfocus=alert(1) autofocus x='",
    "{{ 7 * 7 }}",
    "100%2F5 & more; a=b?c#d+e",
    "back\\slash",
    "דובי ורוד",
    "لعبة",
    "ぬいぐるみ",
    "\U0001f427" * 64,
    "x" * 64,
    "shop",
    "receipts",
    "docs",
    "static",
    "pictures",
    "products",
    "health",
    "openapi.json",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_product_of_any_name_is_shown_and_bought(shop: Shop, browser: Browser, name: str) -> None:
    """In a browser with JavaScript, so that a name that becomes code would run."""
    shop.add(name)
    with visiting(browser) as visitor:
        page = visitor.new_page()
        page.goto(shop.url)
        page.get_by_role("searchbox").fill(name)
        page.get_by_role("searchbox").press("Enter")
        expect(page.get_by_role("searchbox")).to_have_value(name)
        page.get_by_role("main").get_by_role("link", name=name, exact=True).click()
        expect(page.get_by_role("heading", level=1)).to_have_text(name)
        assert_it_fits(page)
        pieces(page).fill("2")
        buy_button(page).click()
        expect_receipt(page, name, 2)
        assert_it_fits(page)
    shop.sold_once(name, 2)


def test_a_receipt_prints_without_the_shop_around_it(shop: Shop, page: Page) -> None:
    product = shop.new()
    page.goto(shop.address(product))
    buy_button(page).click()
    expect_receipt(page, product)
    page.emulate_media(media="print", color_scheme="dark")
    expect(page.get_by_role("main")).to_contain_text(product)
    assert not page.get_by_role("searchbox").count()
    assert not page.get_by_role("navigation").count()
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background in ("rgb(255, 255, 255)", "rgba(0, 0, 0, 0)"), "a printer does not print a dark page"


def test_nothing_moves_for_those_who_want_no_motion(shop: Shop, page: Page) -> None:
    page.emulate_media(reduced_motion="reduce")
    for address in (shop.url, shop.address("Whale")):
        page.goto(address)
        longest_s = page.evaluate(
            """() => Math.max(...[...document.querySelectorAll('*')].flatMap(element => {
                const style = getComputedStyle(element);
                return `${style.transitionDuration},${style.animationDuration}`.split(',').map(parseFloat);
            }))"""
        )
        assert longest_s <= 0.01


@pytest.fixture
def pictured(tmp_path: Path) -> Iterator[Shop]:
    """A shop whose owner has pictures: one is an image, one tries to run a script."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    red = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 4 3" width="400" height="300"><path d="M0 0h4v3H0"/>'
    (pictures / "Tux.svg").write_text(f"{red}</svg>")
    (pictures / "Whale.svg").write_text(f"{red}<script>alert(1)</script></svg>")
    with running(tmp_path / "data", PICTURES=str(pictures)) as tiers:
        yield Shop(tiers)


def test_a_picture_of_the_owner_is_shown_and_runs_no_script(
    pictured: Shop, browser: Browser, visitor: BrowserContext
) -> None:
    opened: list[Dialog] = []
    page = visitor.new_page()
    page.on("dialog", lambda dialog: opened.append(dialog))
    for product in ("Tux", "Whale"):
        page.goto(pictured.address(product))
        picture = page.get_by_role("main").locator("img").first
        expect(picture).to_be_visible()
        page.wait_for_function("document.querySelector('main img').naturalWidth > 0")
    page.goto(pictured.url)
    assert_everybody_can_use_it(page)
    context = browser.new_context()  # its console has the violation of the policy
    alone = context.new_page()
    alone.on("dialog", lambda dialog: opened.append(dialog))
    reply = alone.goto(f"{pictured.url}{source_of(page, 'Whale')}")
    assert reply is not None and reply.status == 200
    context.close()
    assert opened == []


def source_of(page: Page, product: str) -> str:
    """Returns the path of the picture of a product on the grid."""
    sources: list[str] = page.locator("main img").evaluate_all("all => all.map(one => one.src)")
    [path] = [urlsplit(source).path for source in sources if product in source]
    return path


def test_a_visitor_without_javascript_sees_no_trace_of_it(shop: Shop, plain_page: Page) -> None:
    for address in (shop.url, shop.address("Whale")):
        plain_page.goto(address)
        assert plain_page.get_by_role("main").inner_text()
        assert plain_page.get_by_text(re.compile("javascript", re.IGNORECASE)).count() == 0


def test_a_stock_that_cannot_be_asked_leaves_the_page_as_it_is(shop: Shop, browser: Browser) -> None:
    """The catalog is suspended: the page keeps its form, and the stock that it had."""
    product = shop.new(quantity=80)
    watch = Watch(tolerated={503})
    with visiting(browser, watch=watch) as visitor:
        page = visitor.new_page()
        page.clock.install()
        page.goto(shop.address(product))
        page.route("**/products/*", lambda route: route.fulfill(status=503, body="{}"))
        with page.expect_response(lambda reply: "/products/" in reply.url and reply.status == 503):
            page.clock.run_for(2_100)
        expect(page.get_by_role("main")).to_contain_text("80 in stock")
        expect(buy_button(page)).to_be_enabled()
