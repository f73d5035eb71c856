"""The apps as gunicorn serves them: which middlewares, secrets and limits each tier gets from the settings."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client

from conf.wiring import create_catalog_app, create_front_end_app, create_order_app
from domain.limited_checkout import LimitedCheckout
from domain.refusal_limit import RefusalLimit
from tests.support.tiers import free_port
from wsgi_apps.base import App
from wsgi_apps.tier_client import TierClient

NEW, OLD = "new-" * 8, "old-" * 8
APPS: list[Callable[[], Any]] = [create_catalog_app, create_order_app, create_front_end_app]


class RecordingClient(TierClient):
    """A client that keeps the options of all that were made."""

    options: list[dict[str, Any]]

    def __init__(self, name: str, host: str, port: int, **options: Any) -> None:
        super().__init__(name, host, port, **options)
        self.options.append({"name": name, "host": host, "port": port, **options})


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    for tier in ("CATALOG", "ORDER", "FRONT"):
        for variable in (tier, f"{tier}_BIND", f"{tier}_HOSTS"):
            monkeypatch.delenv(variable, raising=False)
    for variable in ("TIER_SECRET", "TIER_SECRET_FILE"):
        monkeypatch.delenv(variable, raising=False)


@pytest.mark.parametrize("create_app", APPS)
def test_each_tier_rejects_a_foreign_host(create_app: Callable[[], Any]) -> None:
    app = create_app()
    assert not isinstance(app, App)
    response = Client(app).get("/health", headers={"Host": "rebound.evil.example"})
    assert response.status_code == 403


@pytest.mark.parametrize(("create_app", "variable"), list(zip(APPS, ["CATALOG", "ORDER", "FRONT"], strict=True)))
def test_a_rejected_host_is_told_the_setting_of_its_tier(create_app: Callable[[], Any], variable: str) -> None:
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
    monkeypatch.setenv("CATALOG", "[::1]:7")
    monkeypatch.setenv("ORDER", "orders:8")
    RecordingClient.options = []
    create_front_end_app(tier_client=RecordingClient)
    assert [(options["host"], options["port"]) for options in RecordingClient.options] == [("::1", 7), ("orders", 8)]


@pytest.mark.parametrize(
    ("create_app", "parts"),
    [
        (create_catalog_app, ["catalog.db"]),
        (create_order_app, ["order.db", "catalog"]),
        (create_front_end_app, ["catalog", "order tier"]),
    ],
)
def test_a_tier_is_not_ready_without_its_database_and_the_tiers_behind_it(
    monkeypatch: pytest.MonkeyPatch, create_app: Callable[[], Any], parts: list[str]
) -> None:
    for tier in ("CATALOG", "ORDER"):
        monkeypatch.setenv(tier, f"127.0.0.1:{free_port()}")
    response = Client(create_app()).get("/ready")
    assert response.status_code == 503 and response.json is not None
    reasons = response.json["error"]["message"].removeprefix("not ready: ").split("; ")
    assert [reason.partition(":")[0] for reason in reasons] == parts


def test_the_workers_of_the_order_tier_share_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The workers share no memory, and all of them write into the same log."""
    given: list[float] = []

    def noted(per_s: float) -> RefusalLimit:
        given.append(per_s)
        return RefusalLimit(per_s)

    monkeypatch.setattr("conf.wiring.RefusalLimit", noted)
    monkeypatch.setenv("REFUSED_PER_S", "12")
    monkeypatch.setenv("ORDER_WORKERS", "4")
    create_order_app()
    assert given == [3.0]


def test_requests_and_recovery_of_an_order_worker_share_one_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[Any, ...]] = []

    def noted(*parts: Any) -> LimitedCheckout:
        made.append(parts)
        return LimitedCheckout(*parts)

    monkeypatch.setattr("conf.wiring.LimitedCheckout", noted)
    create_order_app()
    (store, _, limit), (recovery_store, _, recovery_limit) = made
    assert recovery_limit is limit and recovery_store is store
