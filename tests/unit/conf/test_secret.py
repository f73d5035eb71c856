"""The secret between the tiers: what it may be, who has it, and that nobody gets to see it."""

import hmac
from pathlib import Path

import pytest
from werkzeug.test import Client, TestResponse

from conf.secret import Secrets, parse_secrets
from conf.settings import SettingsError, load, require_private_or_secret
from db.catalog import CatalogStore
from domain.checkout import Checkout
from tests.support.books import Books
from wsgi_apps.base import App
from wsgi_apps.bearer_auth import BearerAuthMiddleware, guarded
from wsgi_apps.catalog import CatalogApp
from wsgi_apps.order import OrderApp

NEW, OLD, WRONG = "new-" * 8, "old-" * 8, "bad-" * 8


def test_the_first_value_is_sent_and_all_are_accepted() -> None:
    secrets = load({"TIER_SECRET": f"{NEW},{OLD}"}).secrets
    assert secrets is not None
    assert secrets.authorization == f"Bearer {NEW}"
    assert secrets.accept(f"Bearer {NEW}") and secrets.accept(f"bearer {OLD}")


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
def test_nothing_else_is_accepted(authorization: str) -> None:
    assert not Secrets((NEW, OLD)).accept(authorization)


def test_every_value_is_compared_whole_whichever_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the time of an answer would tell about the secret."""
    compared = []
    real = hmac.compare_digest

    def compare(given: bytes, value: bytes) -> bool:
        compared.append(value)
        return real(given, value)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    for given in (NEW, OLD, WRONG):
        compared.clear()
        Secrets((NEW, OLD)).accept(f"Bearer {given}")
        assert compared == [NEW.encode(), OLD.encode()]


def test_a_file_has_one_value_a_line(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(f"{NEW}\r\n{OLD}\n".encode())
    assert load({"TIER_SECRET_FILE": str(file)}).secrets == Secrets((NEW, OLD))
    assert load({}).secrets is None


def test_a_byte_order_mark_is_no_part_of_a_secret(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(f"\ufeff{NEW}\r\n{OLD}\r\n".encode())
    assert load({"TIER_SECRET_FILE": str(file)}).secrets == Secrets((NEW, OLD))
    assert load({"TIER_SECRET": f"\ufeff{NEW}"}).secrets == Secrets((NEW,)), "it came from such a file"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is empty"),
        (",\n,", "is empty"),
        ("s3cret", "not 32 to 256 characters"),
        ("x" * 257, "not 32 to 256 characters"),
        (f"{NEW},short", "not 32 to 256 characters"),
        (f"{NEW} {OLD}", "not visible ASCII"),
        (f" {NEW}", "not visible ASCII"),
        ("\u00e9" * 32, "not visible ASCII"),
    ],
)
def test_a_bad_secret_is_named_by_its_problem_and_never_shown(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "secret"
    file.write_text(text, "utf-8")
    for variable, value in (("TIER_SECRET", text), ("TIER_SECRET_FILE", str(file))):
        with pytest.raises(SettingsError, match=f"^{variable} .*{problem}") as caught:
            load({variable: value})
        assert not any(word in str(caught.value) for word in (NEW, OLD, "s3cret", "xxx", "\u00e9"))


def test_two_places_for_a_secret_are_one_too_many() -> None:
    with pytest.raises(SettingsError, match="TIER_SECRET and TIER_SECRET_FILE are both set"):
        load({"TIER_SECRET": NEW, "TIER_SECRET_FILE": "/dev/null"})


@pytest.mark.parametrize("content", [None, b"\xff" * 40])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    for path in (str(file), str(tmp_path), "a\0b"):
        with pytest.raises(SettingsError, match=r"^TIER_SECRET_FILE=.* cannot be read: ."):
            load({"TIER_SECRET_FILE": path})
    with pytest.raises(SettingsError, match=r"^TIER_SECRET_FILE is empty; set it to the name of a file"):
        load({"TIER_SECRET_FILE": ""})


@pytest.mark.parametrize("variable", ["TIER_SECRETS", "TIER_SECRET_FIL", "TRUST_NETWORKS", "REFUSED_PER_SEC"])
def test_a_misspelt_name_is_named(variable: str) -> None:
    with pytest.raises(SettingsError, match=f"{variable} is not a setting; did you mean"):
        load({variable: NEW})


def test_the_settings_can_be_shown() -> None:
    settings = load({"TIER_SECRET": f"{NEW},{OLD}"})
    assert NEW not in repr(settings) and OLD not in repr(settings)
    assert NEW not in str(parse_secrets(NEW))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "[::1]", "localhost", "LocalHost", "[::ffff:127.0.0.1]"])
def test_a_tier_on_loopback_needs_no_secret(host: str) -> None:
    settings = load({"CATALOG_BIND": f"{host}:1", "ORDER_BIND": f"{host}:2"})
    require_private_or_secret(settings, settings.catalog, settings.order)


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]", "10.0.0.1", "128.0.0.1", "shop", "127.shop", "[::ffff:10.0.0.1]"])
@pytest.mark.parametrize("variable", ["CATALOG_BIND", "ORDER_BIND"])
def test_a_tier_that_strangers_reach_needs_a_secret_or_a_closed_network(host: str, variable: str) -> None:
    open_to_all = {variable: f"{host}:1"}
    settings = load(open_to_all)
    with pytest.raises(SettingsError, match=f"^{variable}: .* set TIER_SECRET, or TRUST_NETWORK=1"):
        require_private_or_secret(settings, settings.catalog, settings.order)
    for closed in ({"TIER_SECRET": NEW}, {"TRUST_NETWORK": "1"}):
        settings = load(open_to_all | closed)
        require_private_or_secret(settings, settings.catalog, settings.order)
    settings = load(open_to_all | {"TRUST_NETWORK": "0"})
    with pytest.raises(SettingsError):
        require_private_or_secret(settings, settings.catalog, settings.order)


@pytest.mark.parametrize("value", ["yes", "2", "true"])
def test_a_closed_network_is_said_with_1(value: str) -> None:
    with pytest.raises(SettingsError, match=r"TRUST_NETWORK='.*' is neither 0 nor 1"):
        load({"TRUST_NETWORK": value})


@pytest.fixture
def tiers(catalog: CatalogStore, checkout: Checkout) -> list[Client]:
    """The two tiers behind, guarded."""
    apps: list[App] = [CatalogApp(catalog), OrderApp(checkout)]
    return [Client(BearerAuthMiddleware(app, Secrets((NEW, OLD)))) for app in apps]


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


def refused(response: TestResponse) -> bool:
    if response.status_code != 401:
        return False
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="toy store"'
    assert response.json == {"error": {"code": 401, "message": "this tier answers to the store's other tiers alone"}}
    return True


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_a_guarded_tier_answers_to_those_who_know_the_secret(
    tiers: list[Client], tmp_path: Path, method: str, path: str
) -> None:
    before = Books.read(tmp_path)
    for client in tiers:
        assert refused(client.open(path, method=method))
        assert refused(client.open(path, method=method, headers={"Authorization": f"Bearer {WRONG}"}))
    assert Books.read(tmp_path) == before, "a stranger has changed nothing"
    for client in tiers:
        for value in (NEW, OLD):
            assert not refused(client.open(path, method=method, headers={"Authorization": f"Bearer {value}"}))


def test_a_refused_head_has_no_body(tiers: list[Client]) -> None:
    response = tiers[0].head("/products/Tux")
    assert (response.status_code, response.data) == (401, b"")


def test_the_health_of_a_guarded_tier_is_for_all(tiers: list[Client]) -> None:
    for client in tiers:
        assert client.get("/health").json == {"data": {"status": "ok"}}


def test_without_secrets_the_app_is_as_it_was(catalog: CatalogStore) -> None:
    app = CatalogApp(catalog)
    assert guarded(app, None) is app
