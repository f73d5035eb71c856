"""The bearer tokens between the tiers: which Authorization headers are accepted, and which paths need none."""

import hmac
from pathlib import Path

import pytest
from werkzeug.test import Client, TestResponse

from db.sqlite.catalog import CatalogStore
from domain.checkout import Checkout
from tests.support.books import Books
from wsgi_apps.base import App
from wsgi_apps.bearer_auth import BearerAuthMiddleware, encode_authorization, is_authorized
from wsgi_apps.catalog import CatalogApp
from wsgi_apps.order import OrderApp

NEW, OLD, WRONG = "new-" * 8, "old-" * 8, "bad-" * 8


def test_each_token_is_accepted_in_any_case_of_the_scheme() -> None:
    assert encode_authorization(NEW) == f"Bearer {NEW}"
    assert is_authorized(f"Bearer {NEW}", (NEW, OLD)) and is_authorized(f"bearer {OLD}", (NEW, OLD))


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        NEW,
        f"Basic {NEW}",
        f"Bearer {WRONG}",
        f"Bearer {NEW[:-1]}",
        f"Bearer {NEW}x",
        f"Bearer  {NEW}",
        f"Bearer {NEW},{OLD}",
        f"Bearer {NEW},Bearer {NEW}",
        "Bearer \xe9" + NEW[1:],
    ],
)
def test_any_other_authorization_is_rejected(authorization: str) -> None:
    assert not is_authorized(authorization, (NEW, OLD))


def test_every_token_is_compared_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the time of a response would reveal parts of the secret."""
    compared = []
    compare_digest = hmac.compare_digest

    def compare(given: bytes, value: bytes) -> bool:
        compared.append(value)
        return compare_digest(given, value)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    for given in (NEW, OLD, WRONG):
        compared.clear()
        is_authorized(f"Bearer {given}", (NEW, OLD))
        assert compared == [NEW.encode(), OLD.encode()]


@pytest.fixture
def tiers(catalog: CatalogStore, checkout: Checkout) -> list[Client]:
    """The two tiers behind the front end, which accept either token."""
    apps: list[App] = [CatalogApp(catalog), OrderApp(checkout)]
    return [Client(BearerAuthMiddleware(app, (NEW, OLD))) for app in apps]


PATHS = [
    ("GET", "/products/Tux"),
    ("GET", "/products"),
    ("POST", "/Tux/1"),
    ("POST", "/products/Tux/1"),
    ("GET", "/products/Tux/1"),
    ("POST", "/v1/sales"),
    ("POST", "/v1/lookups"),
    ("POST", "/v1/buys"),
    ("GET", "/orders/0"),
    ("GET", "/nowhere"),
    ("GET", "/health/"),
    ("GET", "//health"),
    ("OPTIONS", "/products"),
]


def is_refused(response: TestResponse) -> bool:
    """Returns whether a response is a 401, and checks the form of a 401."""
    if response.status_code != 401:
        return False
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="toy store"'
    assert response.json == {"error": {"code": 401, "message": "this tier answers to the store's other tiers alone"}}
    return True


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_a_tier_answers_only_requests_with_the_secret(
    tiers: list[Client], tmp_path: Path, method: str, path: str
) -> None:
    before = Books.read(tmp_path)
    for client in tiers:
        assert is_refused(client.open(path, method=method))
        assert is_refused(client.open(path, method=method, headers={"Authorization": f"Bearer {WRONG}"}))
    assert Books.read(tmp_path) == before, "a stranger has changed nothing"
    for client in tiers:
        for value in (NEW, OLD):
            assert not is_refused(client.open(path, method=method, headers={"Authorization": f"Bearer {value}"}))


def test_a_rejected_head_has_no_body(tiers: list[Client]) -> None:
    response = tiers[0].head("/products/Tux")
    assert (response.status_code, response.data) == (401, b"")


def test_health_needs_no_authorization(tiers: list[Client]) -> None:
    for client in tiers:
        assert client.get("/health").json == {"data": {"status": "ok"}}
