"""A tier is killed between click and answer. The page says so, asks again by itself, and the toy is bought once.

A worker is killed at a step of the buy (tests/faults/crashes). While its master is suspended, nothing replaces it.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.chromium import Watch, visiting
from tests.browser.shop import Shop, buy_button, expect_receipt, folder_of_gunicorn_files
from tests.faults.crashes.points import arm, has_fired
from tests.support.tiers import running

# The shopper gets the page of an unknown outcome after this time, in place of 6 s.
DEADLINE_S = 2.0


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """The shop of a store with crash points."""
    patch = f"patch({{'wsgi_apps.front_end.DEADLINE_S': {DEADLINE_S}}})"
    names = ("catalog", "order", "front_end")
    lines = {tier: f"from tests.faults.crashes.conf.{tier} import *\n" for tier in names}
    lines["front_end"] += f"from tests.support.patched_constants import patch\n{patch}\n"
    with running(tmp_path / "data", folder_of_gunicorn_files(tmp_path, lines), CRASH_DIR=str(tmp_path)) as tiers:
        yield Shop(tiers)


@pytest.fixture(params=["with JavaScript", "without JavaScript"])
def shopper(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    """A page of a visitor, once with JavaScript and once without. Its requests may fail while a tier is away."""
    watch = Watch(tolerated={503})
    with visiting(browser, javascript=request.param == "with JavaScript", watch=watch) as visitor:
        yield visitor.new_page()


# The step at which the tier is killed: nothing is kept, the buy is in doubt, it is sold but not logged, it is logged.
STEPS = [("order", "intent.before"), ("order", "intent.after"), ("catalog", "sale.after"), ("order", "finish.after")]
steps = pytest.mark.parametrize("tier, step", STEPS, ids=[step for _, step in STEPS])


@steps
def test_a_tier_is_killed_before_the_answer(shop: Shop, shopper: Page, tier: str, step: str, tmp_path: Path) -> None:
    """The tier stays away until the shopper has seen the page of an unknown outcome."""
    product = shop.new()
    shopper.goto(shop.address(product))
    arm(tmp_path, step, "worker")
    with shop.unattended(tier):
        buy_button(shopper).click()
        expect(shopper.get_by_role("main")).to_contain_text("do not know yet")
        assert has_fired(tmp_path, step)
    expect_receipt(shopper, product)
    shop.sold_once(product)


@steps
def test_a_tier_that_comes_back_at_once_is_hardly_noticed(
    shop: Shop, page: Page, watch: Watch, tier: str, step: str, tmp_path: Path
) -> None:
    watch.tolerated.add(503)
    product = shop.new()
    page.goto(shop.address(product))
    arm(tmp_path, step, "worker")
    buy_button(page).click()
    expect_receipt(page, product)
    assert has_fired(tmp_path, step)
    shop.sold_once(product)


def test_the_page_of_an_unknown_outcome_is_reloaded(shop: Shop, shopper: Page, tmp_path: Path) -> None:
    """A shopper who does not wait reloads the page, which sends the form again with the same key."""
    product = shop.new()
    shopper.goto(shop.address(product))
    arm(tmp_path, "finish.after", "worker")
    with shop.unattended("order"):
        buy_button(shopper).click()
        expect(shopper.get_by_role("main")).to_contain_text("do not know yet")
        shopper.reload()
        expect(shopper.get_by_role("main")).to_contain_text("do not know yet")
    shopper.reload()
    expect_receipt(shopper, product)
    shop.sold_once(product)


def test_the_front_end_is_killed_before_the_answer(shop: Shop, shopper: Page, tmp_path: Path) -> None:
    """The buy has ended, and the connection breaks. The browser sends the form again by itself, as HTTP allows it."""
    product = shop.new()
    shopper.goto(shop.address(product))
    arm(tmp_path, "front-call.after", "worker")
    buy_button(shopper).click(no_wait_after=True)
    expect_receipt(shopper, product)
    assert has_fired(tmp_path, "front-call.after")
    shop.sold_once(product)
    expect(shopper.get_by_role("main")).to_contain_text("already")
