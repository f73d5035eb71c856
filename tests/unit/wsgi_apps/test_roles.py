"""Rules of the owner: who is admitted, and that a tier which knows no owner is closed."""

from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.test import Client, TestResponse

from wsgi_apps.base import App, Request, Rule
from wsgi_apps.bearer_auth import BearerAuthMiddleware
from wsgi_apps.reply import BoundedPool, Reply, run_in_pool

OWNER, NEW_OWNER, TIER, WRONG = "owner---" * 4, "owner-2-" * 4, "tier----" * 4, "wrong---" * 4


@pytest.fixture
def calls() -> list[str]:
    """The calls of the owner's endpoint."""
    return []


@pytest.fixture
def app(calls: list[str]) -> App:
    """An app with a rule for anybody, and one for the owner, whose endpoint runs in a thread."""

    def change(_request: Request, name: str) -> Reply:
        calls.append(name)
        return Reply({"data": name})

    rules = [
        Rule("/anybody", methods=["GET"], endpoint=lambda _request: Reply({"data": "anybody"})),
        Rule("/owner/<name>", methods=["POST"], endpoint=run_in_pool(change, BoundedPool(1, 1)), owner=True),
    ]
    return App(rules, probe=lambda: None)


def ask(app: Any, token: str | None, path: str = "/owner/Tux") -> TestResponse:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return Client(app).open(path, method="GET" if path == "/anybody" else "POST", headers=headers)


def with_both(app: App) -> Any:
    return BearerAuthMiddleware(app, [TIER], [OWNER, NEW_OWNER])


def owner_only(app: App) -> Any:
    return BearerAuthMiddleware(app, None, [OWNER, NEW_OWNER])


def tier_only(app: App) -> Any:
    return BearerAuthMiddleware(app, [TIER])


def unwrapped(app: App) -> Any:
    return app


@pytest.mark.parametrize("wrap", [with_both, owner_only])
@pytest.mark.parametrize("token", [OWNER, NEW_OWNER])
def test_the_owner_may_do_everything(app: App, calls: list[str], wrap: Callable[[App], Any], token: str) -> None:
    assert ask(wrap(app), token).json == {"data": "Tux"}
    assert ask(wrap(app), token, "/anybody").status_code == 200
    assert calls == ["Tux"]


@pytest.mark.parametrize(
    ("wrap", "token", "status"),
    [
        (with_both, None, 401),
        (with_both, WRONG, 401),
        (with_both, OWNER[:-1], 401),
        (with_both, TIER, 403),
        (owner_only, None, 401),
        (owner_only, WRONG, 401),
        (owner_only, TIER, 401),
        (tier_only, None, 401),
        (tier_only, OWNER, 401),
        (tier_only, TIER, 403),
        (unwrapped, None, 403),
        (unwrapped, OWNER, 403),
    ],
)
def test_nobody_else_may_do_what_only_the_owner_may(
    app: App, calls: list[str], wrap: Callable[[App], Any], token: str | None, status: int
) -> None:
    response = ask(wrap(app), token)
    assert response.status_code == status
    assert response.json is not None and response.json["error"]["code"] == status
    assert ("WWW-Authenticate" in response.headers) == (status == 401)
    assert calls == []


@pytest.mark.parametrize("wrap", [tier_only, unwrapped])
def test_a_tier_without_a_secret_of_the_owner_says_what_to_set(app: App, wrap: Callable[[App], Any]) -> None:
    message = "only the owner may do this, and this tier knows none: set its OWNER_SECRET"
    assert ask(wrap(app), TIER).json == {"error": {"code": 403, "message": message}}


def test_a_tiers_token_is_told_from_the_owners(app: App) -> None:
    message = "only the owner may do this, with OWNER_SECRET in the place of TIER_SECRET"
    assert ask(with_both(app), TIER).json == {"error": {"code": 403, "message": message}}


@pytest.mark.parametrize(
    ("wrap", "token", "status"),
    [(with_both, None, 401), (with_both, TIER, 200), (owner_only, None, 200), (owner_only, WRONG, 200)],
)
def test_the_secret_of_the_owner_changes_nothing_for_all_other_requests(
    app: App, wrap: Callable[[App], Any], token: str | None, status: int
) -> None:
    assert ask(wrap(app), token, "/anybody").status_code == status


def test_no_header_makes_a_client_the_owner(app: App, calls: list[str]) -> None:
    for header in ("toystore.role", "Toystore-Role", "HTTP_TOYSTORE_ROLE"):
        assert Client(app).post("/owner/Tux", headers={header: "Role.OWNER"}).status_code == 403
    assert calls == []
