"""TIER_SECRET, OWNER_SECRET and their files: which values are valid, that no message shows one, who needs one."""

from pathlib import Path

import pytest

from conf.secret import Secrets, parse_secrets
from conf.settings import load, require_private_or_secret
from conf.variables import SettingsError

NEW, OLD = "new-" * 8, "old-" * 8


def test_a_file_has_one_value_a_line(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(f"{NEW}\r\n{OLD}\n".encode())
    assert load({"TIER_SECRET_FILE": str(file)}).secrets == Secrets((NEW, OLD))
    assert load({"OWNER_SECRET_FILE": str(file)}).owner_secrets == Secrets((NEW, OLD))
    assert load({}).secrets is None and load({}).owner_secrets is None


def test_a_byte_order_mark_is_ignored(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(f"\ufeff{NEW}\r\n{OLD}\r\n".encode())
    assert load({"TIER_SECRET_FILE": str(file)}).secrets == Secrets((NEW, OLD))
    assert load({"TIER_SECRET": f"\ufeff{NEW}"}).secrets == Secrets((NEW,)), "the value was copied from such a file"


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
    of_each_kind = [("TIER_SECRET", text), ("OWNER_SECRET", text)]
    for variable, value in (*of_each_kind, *((f"{variable}_FILE", str(file)) for variable, _ in of_each_kind)):
        with pytest.raises(SettingsError, match=f"^{variable} .*{problem}") as caught:
            load({variable: value})
        assert not any(word in str(caught.value) for word in (NEW, OLD, "s3cret", "xxx", "\u00e9"))


@pytest.mark.parametrize("variable", ["TIER_SECRET", "OWNER_SECRET"])
def test_a_secret_must_not_have_two_sources(variable: str) -> None:
    with pytest.raises(SettingsError, match=f"^{variable} and {variable}_FILE are both set"):
        load({variable: NEW, f"{variable}_FILE": "/dev/null"})


def test_the_owner_and_the_tiers_have_secrets_of_their_own() -> None:
    """The front end knows TIER_SECRET, and must not be able to do what only the owner may do."""
    assert load({"TIER_SECRET": OLD, "OWNER_SECRET": NEW}).owner_secrets == Secrets((NEW,))
    for tiers, owners in ((NEW, NEW), (f"{NEW},{OLD}", OLD), (OLD, f"{NEW},{OLD}")):
        with pytest.raises(SettingsError, match=r"^OWNER_SECRET is also a TIER_SECRET, which the front end knows"):
            load({"TIER_SECRET": tiers, "OWNER_SECRET": owners})


@pytest.mark.parametrize("variable", ["TIER_SECRET_FILE", "OWNER_SECRET_FILE"])
@pytest.mark.parametrize("content", [None, b"\xff" * 40])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None, variable: str) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    for path in (str(file), str(tmp_path), "a\0b"):
        with pytest.raises(SettingsError, match=rf"^{variable}=.* cannot be read: ."):
            load({variable: path})
    with pytest.raises(SettingsError, match=rf"^{variable} is empty; set it to the name of a file"):
        load({variable: ""})


@pytest.mark.parametrize("variable", ["TIER_SECRETS", "TIER_SECRET_FIL", "TRUST_NETWORKS", "REFUSED_PER_SEC"])
def test_a_misspelt_setting_is_named(variable: str) -> None:
    with pytest.raises(SettingsError, match=f"{variable} is not a setting; did you mean"):
        load({variable: NEW})


def test_no_repr_shows_a_secret() -> None:
    settings = load({"TIER_SECRET": OLD, "OWNER_SECRET": NEW})
    assert NEW not in repr(settings) and OLD not in repr(settings)
    assert NEW not in str(parse_secrets(NEW))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "[::1]", "localhost", "LocalHost", "[::ffff:127.0.0.1]"])
def test_a_tier_on_loopback_needs_no_secret(host: str) -> None:
    settings = load({"CATALOG_BIND": f"{host}:1", "ORDER_BIND": f"{host}:2"})
    assert settings.secrets is None
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
def test_trust_network_is_0_or_1(value: str) -> None:
    with pytest.raises(SettingsError, match=r"TRUST_NETWORK='.*' is neither 0 nor 1"):
        load({"TRUST_NETWORK": value})
