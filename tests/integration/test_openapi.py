"""The API's documents against running tiers: schemathesis sends what they allow, and more; no answer is missing."""

import re
import socket
from collections.abc import Iterator, Sequence
from http.client import HTTPResponse
from typing import Any

import pytest
import requests
import schemathesis
from schemathesis import BaseSchema
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    ignored_auth,
    negative_data_rejection,
    unsupported_method,
)

from tests.support.hostile_requests import CHUNKED, HOST, LONG, head
from tests.support.openapi import Document
from tests.support.raw_http import connect
from tests.support.tiers import Tiers, running
from wsgi_apps.pages.api_docs import load_document


def load(name: str, operations: Sequence[Any], accepted: Sequence[int], max_examples: int) -> BaseSchema:
    """Returns the document of this name for schemathesis. `accepted` are the statuses for requests that fit it.

    The requests are the same in each run, so that a failure can be repeated.
    """
    generation = {
        "deterministic": True,
        "max-examples": max_examples,
        "database": "none",
        "with-security-parameters": False,
    }
    checks = {"positive_data_acceptance": {"expected-statuses": accepted}}
    config = {"generation": generation, "checks": checks, "operations": operations}
    return schemathesis.openapi.from_dict(load_document(name), config=SchemathesisConfig.from_dict(config))


# A request fits the document, but a product is unknown, a key was used before, or too many buys were refused.
SHOP = load("shop", [], [200, 303, 404, 422, 429], max_examples=30)
# Or the owner's changes do not fit each other, such as a last day before the first.
OWNER = load(
    "owner",
    [
        {
            "include-path-regex": "/log(in|out)",  # after wrong secrets, no secret is looked at for a while
            "checks": {"positive_data_acceptance": {"expected-statuses": [200, 303, 400, 403, 429]}},
        },
        {
            "include-path-regex": "/books/",  # each request is an audit or a backup, which takes long
            "generation": {"max-examples": 2},
            "phases": {"coverage": {"enabled": False}},
        },
    ],
    [200, 303, 400, 404, 422],
    max_examples=10,
)
SECRET = "the-secret-of-the-owner-of-this-test"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tiers]:
    with running(tmp_path_factory.mktemp("openapi") / "data", OWNER_SECRET=SECRET) as tiers:
        tiers.start("back_office")
        yield tiers


@pytest.fixture(scope="module")
def session(shop: Tiers) -> dict[str, str]:
    """The headers of a request in a session of the owner."""
    desk = shop.url("back_office")
    login = requests.post(f"{desk}/login", {"secret": SECRET}, allow_redirects=False, timeout=10)
    cookie = login.headers["Set-Cookie"].partition(";")[0]
    page = requests.get(f"{desk}/docs", headers={"Cookie": cookie}, timeout=10)
    [token] = re.findall(r'data-token="(.+?)"', page.text)
    return {"Cookie": cookie, "X-Form-Token": token}


@SHOP.parametrize()
def test_the_shop_answers_as_its_document_says(case: schemathesis.Case[Any], shop: Tiers) -> None:
    # At a path of two segments, a POST is a buy, also where the document has a GET of something else.
    shares_path = case.operation.method == "get" and case.operation.path.count("/") == 2
    excluded = [unsupported_method, allow_header_conformance] if shares_path else None
    case.call_and_validate(base_url=shop.url("front_end"), excluded_checks=excluded)


@OWNER.parametrize()
def test_the_desk_answers_as_its_document_says(
    case: schemathesis.Case[Any], shop: Tiers, session: dict[str, str]
) -> None:
    headers = {"Authorization": f"Bearer {SECRET}"} if case.operation.path == "/logout" else session
    excluded = [
        ignored_auth,  # it sends wrong secrets as well, which slows the asker down; the next test is about them
        negative_data_rejection,  # as in every form, an empty field is missing, and one of no use is not looked at
    ]
    case.call_and_validate(
        base_url=shop.url("back_office"), headers=headers, excluded_checks=excluded, allow_redirects=False
    )


@pytest.mark.parametrize(("accept", "status"), [("application/json", 401), ("text/html", 303)])
def test_the_desk_answers_to_the_owner_alone(shop: Tiers, accept: str, status: int) -> None:
    document = Document("owner")
    guarded = {place: each for place, each in document.operations.items() if each.get("security") != []}
    assert ("/openapi.json", "GET") in guarded
    for (path, method), operation in guarded.items():
        url = shop.url("back_office") + document.example_path(path, operation)
        response = requests.request(method, url, headers={"Accept": accept}, allow_redirects=False, timeout=10)
        assert response.status_code == status, path
        content_type = response.headers["Content-Type"]
        document.check_reply(path, method, status, content_type, response.text, response.headers)


def test_the_examples_of_changes_are_changes_that_the_desk_makes(shop: Tiers, session: dict[str, str]) -> None:
    document = Document("owner")
    bought = requests.post(shop.url("front_end") + "/Bird/2", timeout=30).json()["data"]["order_number"]
    paths = {
        "/stock": "/stock",
        "/products/{name}": "/products/Puffin",
        "/orders/{number}/returns": f"/orders/{bought}/returns",
        "/books/audits": "/books/audits",
        "/books/backups": "/books/backups",
    }
    posts = {path for path, method in document.operations if method == "POST"}
    assert paths.keys() == posts - {"/login", "/logout"}
    for template, path in paths.items():
        media_type = document.operations[template, "POST"]["requestBody"]["content"]["application/json"]
        examples = [example["value"] for example in media_type.get("examples", {}).values()] or [media_type["example"]]
        for example in examples:
            # The product of the example itself is already there, when the document was tried before.
            body = example | {"name": "Puffin"} if template == "/stock" else example
            response = requests.post(shop.url("back_office") + path, json=body, headers=session, timeout=30)
            assert response.status_code == 200, (path, body, response.text)
            content_type = response.headers["Content-Type"]
            document.check_reply(template, "POST", 200, content_type, response.text, response.headers)


@pytest.mark.parametrize(
    ("status", "request_"),
    [
        (400, head(HOST, b"nonsense")),
        (403, head(b"Host: rebound.evil.example", path=b"/Tux/1")),
        (403, head(HOST, b"Origin: https://evil.example")),
        (405, head(HOST, method=b"PUT")),
        (408, head(HOST, b"Content-Length: 1000") + b"abc"),
        (411, head(HOST, CHUNKED)),
        (413, head(HOST, b"Content-Length: 65537")),
        (414, head(HOST, path=b"/" + b"x" * 5_000)),
        (417, head(HOST, b"Expect: foo")),
        (431, head(HOST, b"X: " + LONG)),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else "",
)
def test_the_replies_of_the_server_itself_are_described(shop: Tiers, status: int, request_: bytes) -> None:
    with connect(shop, "front_end") as connection:
        connection.sendall(request_)
        check_reply(connection, status)


def check_reply(connection: socket.socket, status: int) -> None:
    """Asserts that the next reply has this status, and is described as one to a buy."""
    response = HTTPResponse(connection)
    response.begin()
    body = response.read().decode()
    assert response.status == status
    content_type = response.headers["Content-Type"]
    Document("shop").check_reply("/{name}/{quantity}", "POST", status, content_type, body, dict(response.headers))


@pytest.mark.parametrize(
    ("method", "path", "template"),
    [
        ("GET", "/products", "/products"),
        ("GET", "/products/Tux", "/products/{name}"),
        ("POST", "/Tux/1", "/{name}/{quantity}"),
        ("GET", "/orders/0", "/orders/{number}"),
        ("GET", "/ready", "/ready"),
    ],
)
def test_the_replies_without_the_tiers_behind_are_described(
    alone: Tiers, method: str, path: str, template: str
) -> None:
    key = {"Idempotency-Key": "k"}
    response = requests.request(method, alone.url("front_end") + path, headers=key, timeout=30)
    assert response.status_code == 503
    Document("shop").check_reply(
        template, method, 503, response.headers["Content-Type"], response.text, response.headers
    )


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tiers]:
    """A front end without the tiers behind it."""
    tiers = Tiers(tmp_path_factory.mktemp("alone") / "data")
    tiers.start("front_end")
    yield tiers
    tiers.stop()
