"""The apps as gunicorn serves them: which middlewares, secrets and limits each tier gets from the settings."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from werkzeug.test import Client, EnvironBuilder

from conf.settings import load
from conf.wiring import (
    create_back_office_app,
    create_catalog_app,
    create_front_end_app,
    create_order_app,
    prepare_back_office,
    prepare_front_end,
)
from db.start import StartRefused
from domain.limited_checkout import LimitedCheckout
from domain.refusal_limit import RefusalLimit
from tests.support.tiers import free_port
from wsgi_apps.roles import Role, role_of
from wsgi_apps.tier_client import TierClient

NEW, OLD, TIER = "new-" * 8, "old-" * 8, "tier" * 8
APPS: list[Callable[[], Any]] = [create_catalog_app, create_order_app, create_front_end_app]


class RecordingClient(TierClient):
    """Records the arguments of each client that is created."""

    options: list[dict[str, Any]]

    def __init__(self, name: str, addresses: Sequence[tuple[str, int]], **options: Any) -> None:
        super().__init__(name, addresses, **options)
        self.options.append({"name": name, "addresses": addresses, **options})


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sets the settings back to their defaults, with a folder of databases for each test."""
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    for tier in ("CATALOG", "ORDER", "FRONT", "BACK_OFFICE"):
        for variable in (tier, f"{tier}_BIND", f"{tier}_HOSTS"):
            monkeypatch.delenv(variable, raising=False)
    for variable in ("TIER_SECRET", "TIER_SECRET_FILE", "OWNER_SECRET", "OWNER_SECRET_FILE"):
        monkeypatch.delenv(variable, raising=False)


@pytest.mark.parametrize("create_app", [*APPS, create_back_office_app])
def test_each_tier_rejects_a_foreign_host(monkeypatch: pytest.MonkeyPatch, create_app: Callable[[], Any]) -> None:
    monkeypatch.setenv("OWNER_SECRET", NEW)
    response = Client(create_app()).get("/health", headers={"Host": "rebound.evil.example"})
    assert response.status_code == 403


@pytest.mark.parametrize(
    ("create_app", "variable"),
    list(zip([*APPS, create_back_office_app], ["CATALOG", "ORDER", "FRONT", "BACK_OFFICE"], strict=True)),
)
def test_the_rejection_of_a_host_names_the_setting_of_its_tier(
    monkeypatch: pytest.MonkeyPatch, create_app: Callable[[], Any], variable: str
) -> None:
    monkeypatch.setenv("OWNER_SECRET", NEW)
    response = Client(create_app()).get("/health", headers={"Host": "rebound.evil.example"})
    assert response.json is not None
    assert f"; {variable}_HOSTS lists more names" in response.json["error"]["message"]


@pytest.mark.parametrize(("create_app", "status"), list(zip(APPS, [401, 401, 404], strict=True)))
def test_with_a_secret_only_the_tiers_behind_need_authorization(
    monkeypatch: pytest.MonkeyPatch, create_app: Callable[[], Any], status: int
) -> None:
    monkeypatch.setenv("TIER_SECRET", f"{NEW},{OLD}")
    client = Client(create_app())
    assert client.get("/nowhere").status_code == status
    for secret in (NEW, OLD):
        assert client.get("/nowhere", headers={"Authorization": f"Bearer {secret}"}).status_code == 404


@pytest.mark.parametrize("create_app", [create_catalog_app, create_order_app])
@pytest.mark.parametrize("tier_secret", [None, TIER])
def test_the_owner_may_ask_the_tiers_behind_for_everything(
    monkeypatch: pytest.MonkeyPatch, create_app: Callable[[], Any], tier_secret: str | None
) -> None:
    monkeypatch.setenv("OWNER_SECRET", f"{NEW},{OLD}")
    if tier_secret:
        monkeypatch.setenv("TIER_SECRET", tier_secret)
    client = Client(create_app())
    for secret in (NEW, OLD):
        assert client.get("/nowhere", headers={"Authorization": f"Bearer {secret}"}).status_code == 404
    assert client.get("/nowhere").status_code == (401 if tier_secret else 404)


def role_at(app: Any, token: str) -> Role | None:
    """Returns the role that an app gives a request with this token."""
    environ = EnvironBuilder(path="/health", headers=[("Authorization", f"Bearer {token}")]).get_environ()
    app(environ, lambda *_: None)
    return role_of(environ)


@pytest.mark.parametrize("create_app", [create_catalog_app, create_order_app])
@pytest.mark.parametrize(("token", "role"), [(NEW, Role.OWNER), (TIER, Role.TIER)])
def test_the_tiers_behind_tell_the_owner_from_a_tier(
    monkeypatch: pytest.MonkeyPatch, create_app: Callable[[], Any], token: str, role: Role
) -> None:
    monkeypatch.setenv("OWNER_SECRET", NEW)
    monkeypatch.setenv("TIER_SECRET", TIER)
    assert role_at(create_app(), token) is role


def test_the_front_end_does_not_know_the_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OWNER_SECRET", NEW)
    RecordingClient.options = []
    assert role_at(create_front_end_app(tier_client=RecordingClient), NEW) is None
    assert [options["authorization"] for options in RecordingClient.options] == [None, None]


@pytest.mark.parametrize("create_app", APPS)
def test_without_a_secret_no_tier_needs_authorization(create_app: Callable[[], Any]) -> None:
    assert Client(create_app()).get("/nowhere").status_code == 404


@pytest.mark.parametrize(
    ("create_app", "names"),
    [(create_order_app, ["catalog"]), (create_front_end_app, ["catalog", "order tier"])],
)
def test_a_tier_sends_the_first_secret_to_the_tiers_behind_it(
    monkeypatch: pytest.MonkeyPatch, create_app: Callable[..., Any], names: list[str]
) -> None:
    RecordingClient.options = []
    create_app(tier_client=RecordingClient)
    monkeypatch.setenv("TIER_SECRET", f"{NEW},{OLD}")
    create_app(tier_client=RecordingClient)
    made = [(options["name"], options["authorization"]) for options in RecordingClient.options]
    assert made == [(name, None) for name in names] + [(name, f"Bearer {NEW}") for name in names]


def test_a_tier_calls_the_tiers_behind_it_at_their_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CATALOG", "[::1]:7,[::1]:9")
    monkeypatch.setenv("ORDER", "orders:8")
    RecordingClient.options = []
    create_front_end_app(tier_client=RecordingClient)
    called = [options["addresses"] for options in RecordingClient.options]
    assert called == [[("::1", 7), ("::1", 9)], [("orders", 8)]]


@pytest.mark.parametrize(
    ("create_app", "parts"),
    [
        (create_catalog_app, ["catalog.db"]),
        (create_order_app, ["order.db", "catalog"]),
        (create_front_end_app, ["catalog", "order tier"]),
        (create_back_office_app, ["catalog", "order tier"]),
    ],
)
def test_a_tier_is_not_ready_without_its_database_and_the_tiers_behind_it(
    monkeypatch: pytest.MonkeyPatch, create_app: Callable[[], Any], parts: list[str]
) -> None:
    monkeypatch.setenv("OWNER_SECRET", NEW)
    for tier in ("CATALOG", "ORDER"):
        monkeypatch.setenv(tier, f"127.0.0.1:{free_port()}")
    response = Client(create_app()).get("/ready")
    assert response.status_code == 503 and response.json is not None
    reasons = response.json["error"]["message"].removeprefix("not ready: ").split("; ")
    assert [reason.partition(":")[0] for reason in reasons] == parts


def test_a_front_end_that_was_told_the_secret_of_the_owner_says_so(caplog: pytest.LogCaptureFixture) -> None:
    prepare_front_end(load({}))
    assert caplog.messages == []
    prepare_front_end(load({"OWNER_SECRET": NEW}))
    [message] = caplog.messages
    assert message.startswith("front_end: OWNER_SECRET is in its environment") and NEW not in message


def test_the_back_office_does_not_start_without_an_owner() -> None:
    for start in (create_back_office_app, lambda: prepare_back_office(load())):
        with pytest.raises(StartRefused, match=r"^set OWNER_SECRET, or OWNER_SECRET_FILE, here and at catalog"):
            start()


def test_the_back_office_sends_the_owners_first_secret_and_not_that_of_the_tiers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OWNER_SECRET", f"{NEW},{OLD}")
    monkeypatch.setenv("TIER_SECRET", TIER)
    RecordingClient.options = []
    create_back_office_app(tier_client=RecordingClient)
    made = {(made["name"], made["authorization"], made["for_owner"]) for made in RecordingClient.options}
    assert made == {("catalog", f"Bearer {NEW}", True), ("order tier", f"Bearer {NEW}", True)}


def test_the_order_tier_gives_back_with_the_secret_of_the_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OWNER_SECRET", f"{NEW},{OLD}")
    monkeypatch.setenv("TIER_SECRET", TIER)
    RecordingClient.options = []
    create_order_app(tier_client=RecordingClient)
    made = [(made["name"], made["authorization"]) for made in RecordingClient.options]
    assert made == [("catalog", f"Bearer {TIER}"), ("catalog", f"Bearer {NEW}")]


@pytest.mark.parametrize(
    ("address", "name", "is_secure"),
    [("http://127.0.0.1:7", "desk-7=", False), ("https://desk.example", "__Host-desk-443=", True)],
)
def test_the_cookie_of_a_desk_behind_https_is_for_https_alone(
    monkeypatch: pytest.MonkeyPatch, address: str, name: str, is_secure: bool
) -> None:
    monkeypatch.setenv("OWNER_SECRET", NEW)
    monkeypatch.setenv("BACK_OFFICE", address)
    response = Client(create_back_office_app()).post("/login", data={"secret": NEW}, base_url=address)
    cookie = response.headers["Set-Cookie"]
    assert cookie.startswith(name) and ("; Secure" in cookie) == is_secure


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://127.0.0.1:6060"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Referer": "http://127.0.0.1:6060/"},
    ],
)
def test_a_page_of_another_site_or_port_changes_nothing_at_the_desk(
    monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]
) -> None:
    """Not even with the secret: the page of a foreign site could log the owner into a desk of its own choice."""
    monkeypatch.setenv("OWNER_SECRET", NEW)
    client = Client(create_back_office_app())
    for path in ("/login", "/stock"):
        response = client.post(path, data={"secret": NEW}, headers=headers, base_url="http://127.0.0.1:6061")
        assert response.status_code == 403 and "Set-Cookie" not in response.headers
    response = client.post(
        "/login", data={"secret": NEW}, headers={"Origin": "http://127.0.0.1:6061"}, base_url="http://127.0.0.1:6061"
    )
    assert response.status_code == 303


def test_a_desk_beyond_loopback_accepts_only_the_names_that_its_setting_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shop there accepts any name. The name of another site could show its visitors the desk."""
    monkeypatch.setenv("OWNER_SECRET", NEW)
    monkeypatch.setenv("BACK_OFFICE_BIND", "0.0.0.0")
    assert Client(create_back_office_app()).get("/health", headers={"Host": "desk.example"}).status_code == 403
    monkeypatch.setenv("BACK_OFFICE_HOSTS", "desk.example")
    assert Client(create_back_office_app()).get("/health", headers={"Host": "desk.example"}).status_code == 200


def test_the_workers_of_the_order_tier_share_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The workers share no memory, so each of the four gets a quarter."""
    rates: list[float] = []

    def record(per_s: float) -> RefusalLimit:
        rates.append(per_s)
        return RefusalLimit(per_s)

    monkeypatch.setattr("conf.wiring.RefusalLimit", record)
    monkeypatch.setenv("REFUSED_PER_S", "12")
    monkeypatch.setenv("ORDER_WORKERS", "4")
    create_order_app()
    assert rates == [3.0]


def test_requests_and_recovery_of_an_order_worker_share_one_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[Any, ...]] = []

    def record(*parts: Any) -> LimitedCheckout:
        made.append(parts)
        return LimitedCheckout(*parts)

    monkeypatch.setattr("conf.wiring.LimitedCheckout", record)
    create_order_app()
    (store, _, limit), (recovery_store, _, recovery_limit) = made
    assert recovery_limit is limit and recovery_store is store


def test_audits_and_backups_of_the_desk_yield_to_buys_and_end_with_their_tier(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BOOKS_DIR", str(tmp_path / "both"))
    monkeypatch.setenv("BACKUP_DIR", str(tmp_path / "safe"))
    made: list[tuple[list[str], Path, Path]] = []
    monkeypatch.setattr("conf.stores.BookKeeper", lambda *arguments: made.append(arguments))
    monkeypatch.setattr("conf.wiring.OwnerOrderCalls", lambda _books, _keeper: SimpleNamespace(rules=list))
    create_order_app()
    [(command, books_dir, backup_dir)] = made
    assert (books_dir, backup_dir) == (tmp_path / "both", tmp_path / "safe")
    assert command[:3] == ["nice", "-n", "5"]
    assert command[3:5] == ["env", f"DATA_DIR={tmp_path / 'both'}"]
    assert command[6:] == ["-m", "conf.with_parent", str(os.getpid()), "SIGINT", "admin"]
