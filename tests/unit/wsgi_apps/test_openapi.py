"""The API's documents: each rule of a URL map is in its document, the examples fit, and the replies are described."""

import re
from collections import Counter
from typing import Any, NoReturn
from unittest.mock import Mock, patch

import pytest
import schemathesis
from werkzeug.test import Client, TestResponse

from db.sqlite.catalog import CatalogStore
from db.sqlite.order import OrderStore
from domain.checkout import Checkout
from domain.limited_checkout import LimitedCheckout
from domain.refusal_limit import RefusalLimit
from tests.exchanges import EXCHANGES, Exchange
from tests.support.app_clients import AppClients
from tests.support.buying import BURST, PER_S, unknown
from tests.support.clock import Clock
from tests.support.openapi import Document, operations_of
from wsgi_apps.back_office import BackOfficeApp
from wsgi_apps.base import App
from wsgi_apps.front_end import FrontEndApp
from wsgi_apps.pages.api_docs import swagger_files
from wsgi_apps.pages.desk.login import Cookie, Login
from wsgi_apps.pages.desk.rules import Services, desk_rules
from wsgi_apps.pages.static import StaticFiles
from wsgi_apps.pages.templates import Templates

NAMES = ["shop", "owner"]


@pytest.fixture(params=NAMES)
def document(request: pytest.FixtureRequest) -> Document:
    return Document(request.param)


@pytest.fixture
def apps(catalog: CatalogStore, checkout: Checkout) -> dict[str, App]:
    static = StaticFiles(extra=swagger_files())
    templates = Templates(static=static.url)
    login = Login(["s" * 32], Cookie("desk-6061", secure=False), templates)
    return {
        "shop": FrontEndApp(catalog, checkout),
        "owner": BackOfficeApp(login, desk_rules(Mock(spec=Services), templates, None), templates, static),
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_document_has_the_rules_of_its_tier_and_no_other(name: str, apps: dict[str, App]) -> None:
    assert Document(name).operations.keys() == operations_of(apps[name].url_map)


def test_a_document_is_valid_openapi(document: Document) -> None:
    assert document.content["openapi"].startswith("3.1.")
    schemathesis.openapi.from_dict(document.content).validate()


def test_each_example_fits_its_schema(document: Document) -> None:
    examples = list(document.examples())
    assert len(examples) > len(document.operations)
    for example in examples:
        try:
            document.check(example.schema, example.value)
        except AssertionError as error:
            raise AssertionError(example.place) from error


def test_each_error_is_described_under_its_own_status(document: Document) -> None:
    for operation in document.operations.values():
        for status, response in operation["responses"].items():
            media_type = document.resolve(response).get("content", {}).get("application/json", {})
            values = [media_type.get("example"), *(item["value"] for item in media_type.get("examples", {}).values())]
            for value in values:
                if value and "error" in value:
                    assert value["error"]["code"] == int(status)


def test_each_reply_has_an_example(document: Document) -> None:
    for (path, method), operation in document.operations.items():
        for status, response in operation["responses"].items():
            for content_type, media_type in document.resolve(response).get("content", {}).items():
                is_binary = content_type in ("image/jpeg", "image/png", "image/webp")
                assert is_binary or "example" in media_type or "examples" in media_type, (path, method, status)


def test_each_parameter_of_a_path_is_described(document: Document) -> None:
    for (path, _), operation in document.operations.items():
        parameters = [document.resolve(parameter) for parameter in operation.get("parameters", ())]
        assert [item["name"] for item in parameters if item["in"] == "path"] == re.findall(r"{(\w+)}", path)
        assert all("example" in item for item in parameters)


def test_operations_have_a_name_of_their_own_and_a_known_tag(document: Document) -> None:
    names = Counter(operation["operationId"] for operation in document.operations.values())
    assert names.most_common(1)[0][1] == 1
    known = {tag["name"] for tag in document.content["tags"]}
    assert {tag for operation in document.operations.values() for tag in operation["tags"]} == known


def test_each_component_is_used(document: Document) -> None:
    used = set(_references(document.content))
    for kind, components in document.content["components"].items():
        for name in components:
            # A security scheme is used by its name.
            assert kind == "securitySchemes" or f"#/components/{kind}/{name}" in used


def test_components_of_one_name_are_the_same_in_both_documents() -> None:
    shop, owner = (Document(name).content["components"] for name in NAMES)
    assert "Error" in shop["schemas"].keys() & owner["schemas"].keys()
    for kind in shop.keys() & owner.keys():
        for name in shop[kind].keys() & owner[kind].keys():
            assert _without_pages(shop[kind][name]) == _without_pages(owner[kind][name]), f"{kind}/{name}"


def _without_pages(component: Any) -> Any:
    """Returns a component without its HTML: the desk shows a browser each error as a page."""
    if "content" not in component:
        return component
    return component | {"content": {kind: each for kind, each in component["content"].items() if kind != "text/html"}}


def _references(value: Any) -> set[str]:
    """Returns the targets of all $refs in a value."""
    if isinstance(value, list):
        return set().union(*map(_references, value))
    if not isinstance(value, dict):
        return set()
    found = {value["$ref"]} if "$ref" in value else set()
    return found.union(*map(_references, value.values()))


@pytest.mark.parametrize(
    "exchange", [each for each in EXCHANGES if each.tier == "front_end"], ids=lambda exchange: exchange.name
)
def test_the_documented_exchanges_of_the_front_end_are_described(exchange: Exchange, tiers: AppClients) -> None:
    response = tiers.front_end.open(exchange.path, method=exchange.method)
    path = "/products/{name}" if exchange.method == "GET" else "/{name}/{quantity}"
    Document("shop").check_reply(
        path, exchange.method, response.status_code, response.content_type, response.text, dict(response.headers)
    )


def test_a_reused_key_is_described(tiers: AppClients) -> None:
    key = {"Idempotency-Key": "k"}
    tiers.front_end.post("/Tux/1", headers=key)
    check_buy(tiers.front_end.post("/Tux/2", headers=key), 422)


def test_a_throttled_buy_is_described(orders: OrderStore, catalog: CatalogStore) -> None:
    limited = LimitedCheckout(orders, catalog, RefusalLimit(PER_S, Clock()))
    limited.place_all([unknown(number) for number in range(BURST)])
    check_buy(Client(FrontEndApp(catalog, limited)).post("/Unicorn/1"), 429)


def test_a_bug_of_the_store_is_described(catalog: CatalogStore, checkout: Checkout) -> None:
    def fail(_buys: object) -> NoReturn:
        raise RuntimeError("a bug")

    with patch.object(checkout, "place_all", fail):
        check_buy(Client(FrontEndApp(catalog, checkout)).post("/Tux/1"), 500)


def check_buy(response: TestResponse, status: int) -> None:
    """Asserts that this is the status of a buy's reply, and that the document has the reply."""
    assert response.status_code == status
    Document("shop").check_reply(
        "/{name}/{quantity}", "POST", status, str(response.content_type), response.text, dict(response.headers)
    )
