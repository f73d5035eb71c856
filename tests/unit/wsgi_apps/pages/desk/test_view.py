"""All pages of the desk: one handler for page and JSON, safe headers, and a page when a tier is away."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from db.sqlite.catalog import CatalogStore
from domain.checkout import Checkout
from domain.errors import Unavailable
from domain.values import Buy, Product
from tests.support.desk import BROWSER, DeskClient, read_page
from wsgi_apps.pages.desk.rules import Services

PAGES = ["/stock", "/products/Tux", "/products/Tux/retire", "/orders", "/orders/0", "/takings", "/books"]


@pytest.fixture(autouse=True)
def order(checkout: Checkout) -> None:
    checkout.place(Buy("buy-1", "Tux", 3))


class Breaking:
    """A part of the store that can be away before or after it has done what it was asked for."""

    def __init__(self, part: object) -> None:
        self._part = part
        self._when = ""

    def __getattr__(self, name: str) -> object:
        method = getattr(self._part, name)

        def call(*arguments: object, **values: object) -> object:
            if self._when == "before":
                raise Unavailable(retry_after_s=2)
            result = method(*arguments, **values)
            if self._when == "after":
                raise Unavailable(retry_after_s=2)
            return result

        return call

    @contextmanager
    def away(self, when: str = "before") -> Iterator[None]:
        self._when = when
        yield
        self._when = ""


@pytest.fixture
def catalog_tier(services: Services) -> Breaking:
    return Breaking(services.catalog)


@pytest.fixture
def order_tier(services: Services) -> Breaking:
    return Breaking(services.orders)


@pytest.fixture
def desk(services: Services, catalog_tier: Breaking, order_tier: Breaking) -> DeskClient:
    return DeskClient(Services(catalog_tier, order_tier, services.returns))  # type: ignore[arg-type]


@pytest.mark.parametrize("path", PAGES)
def test_every_page_has_a_json_twin(desk: DeskClient, path: str) -> None:
    assert "data" in desk.json(path)
    assert desk.get(path).html.startswith("<!doctype html>")
    for headers in (BROWSER, {"Accept": "application/json"}):
        assert desk.client.get(path, headers=headers).headers["Vary"] == "Accept"


@pytest.mark.parametrize("path", PAGES)
def test_a_page_has_no_inline_style_or_script_and_a_policy_that_refuses_them(desk: DeskClient, path: str) -> None:
    response = desk.client.get(path, headers=BROWSER)
    assert re.findall(r"<script|<style|\sstyle=|\son\w+=", response.text) == []
    assert response.headers["Content-Security-Policy"].startswith("default-src 'self';")
    assert (response.headers["Cache-Control"], response.headers["X-Content-Type-Options"]) == ("no-store", "nosniff")
    for address in re.findall(r'<link rel="(?:stylesheet|icon)" href="(.*?)"', response.text):
        assert desk.client.get(address).status_code == 200


@pytest.mark.parametrize("path", PAGES)
def test_a_page_can_be_used_by_everybody(desk: DeskClient, path: str) -> None:
    page = desk.get(path)
    labelled = {values.get("for") for tag, values in page.tags if tag == "label"}
    inputs = [values for tag, values in page.tags if tag == "input" and values.get("type") != "hidden"]
    assert {values.get("id") for values in inputs} <= labelled
    assert [tag for tag, _ in page.tags].count("h1") == 1
    assert page.links[0] == "#main" and "main" in page.ids
    assert all(table.caption for table in page.tables)
    assert all("scope" in values for tag, values in page.tags if tag == "th")
    [current] = [values["href"] for _, values in page.tags if values.get("aria-current") == "page"]
    assert current == ("/stock" if path.startswith("/products") else f"/{path.split('/')[1]}")


@pytest.mark.parametrize("path", PAGES)
def test_each_form_that_posts_has_the_token_of_the_session(desk: DeskClient, path: str) -> None:
    forms = [form for form in desk.get(path).forms if form.method == "post"]
    assert forms
    for form in forms:
        assert form.fields["token"]
        assert desk.send(form, token="guessed").status_code == 403


@pytest.mark.parametrize("path", PAGES)
def test_a_tier_that_is_away_is_named_and_the_page_offers_to_ask_again(
    desk: DeskClient, path: str, catalog_tier: Breaking, order_tier: Breaking
) -> None:
    with catalog_tier.away(), order_tier.away():
        page = desk.get(f"{path}?", 503)
        tier = "catalog" if path.startswith(("/stock", "/products")) else "order tier"
        assert page.only("problem") == f"The {tier} does not answer now."
        assert path in page.links
        response = desk.client.get(path, headers={"Accept": "application/json"})
        assert (response.status_code, response.headers["Retry-After"]) == (503, "2")
        assert response.json == {"error": {"code": 503, "message": f"the {tier} does not answer now"}}


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_form_whose_answer_is_lost_is_sent_again_under_its_key(
    desk: DeskClient, catalog: CatalogStore, catalog_tier: Breaking, when: str
) -> None:
    form = desk.get("/products/Tux").form("/products/Tux", action="writeoff")
    with catalog_tier.away(when):
        response = desk.send(form, quantity="2", note='broken, "twice"')
        page = read_page(response, 503)
        assert response.headers["Retry-After"] == "2"
        assert "may or may not have been done" in page.text
        again = page.form("/products/Tux")
        assert again.fields == {**form.fields, "quantity": "2", "note": 'broken, "twice"'}
        assert read_page(desk.send(again), 503).form("/products/Tux").fields == again.fields
    assert desk.done(again).only("done") == "Tux: 2 pieces written off, 75 in stock: entry 6"
    assert catalog.lookup(["Tux"]) == [Product("Tux", 2599, 75)]


def test_an_unknown_page_is_an_error_in_both_forms(desk: DeskClient) -> None:
    page = desk.get("/nothing", 404)
    assert "Not Found" in page.text
    assert page.only("problem") == "No page of the desk is at this address."
    assert desk.json("/nothing", 404) == {"error": {"code": 404, "message": "not found"}}


@pytest.mark.parametrize("path", PAGES)
def test_every_page_leads_to_the_api(desk: DeskClient, path: str) -> None:
    assert "/docs" in desk.get(path).links
