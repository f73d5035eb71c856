"""The settings CATALOG_DATABASE and ORDER_DATABASE: addresses of PostgreSQL, whose passwords nothing shows."""

from pathlib import Path

import pytest

from conf.settings import load
from conf.variables import SettingsError

ADDRESS = "postgresql://store:hunter2@one,two:5433/toys?connect_timeout=2"
VARIABLES = ("CATALOG_DATABASE", "ORDER_DATABASE")


def test_without_an_address_the_state_is_in_a_file() -> None:
    settings = load({"CATALOG_DATABASE": "", "ORDER_DATABASE_FILE": ""})
    assert (settings.catalog_database, settings.order_database) == (None, None)


def test_each_tier_has_an_address_of_its_own() -> None:
    settings = load({"CATALOG_DATABASE": ADDRESS})
    assert (settings.catalog_database, settings.order_database) == (ADDRESS, None)
    assert load({"ORDER_DATABASE": "postgres://one/toys"}).order_database == "postgres://one/toys"


@pytest.mark.parametrize("variable", VARIABLES)
def test_the_address_may_be_in_a_file(variable: str, tmp_path: Path) -> None:
    (tmp_path / "address").write_text(f"{ADDRESS}\n")
    settings = load({f"{variable}_FILE": str(tmp_path / "address")})
    assert ADDRESS in (settings.catalog_database, settings.order_database)


@pytest.mark.parametrize("variable", VARIABLES)
def test_another_address_is_an_error_that_does_not_show_it(variable: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=f"^{variable} is no address such as postgresql://[^:]*$") as error:
        load({variable: "mysql://store:hunter2@one/toys"})
    assert "hunter2" not in str(error.value)
    (tmp_path / "address").write_text("hunter2")
    with pytest.raises(SettingsError, match=f"^{variable}_FILE is no address") as error:
        load({f"{variable}_FILE": str(tmp_path / "address")})
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize("variable", VARIABLES)
def test_an_address_and_a_file_of_one_are_an_error(variable: str) -> None:
    with pytest.raises(SettingsError, match=f"^{variable} and {variable}_FILE are both set"):
        load({variable: ADDRESS, f"{variable}_FILE": "address"})


@pytest.mark.parametrize("variable", VARIABLES)
def test_a_file_that_is_missing_is_named(variable: str) -> None:
    with pytest.raises(SettingsError, match=f"^{variable}_FILE='nowhere' cannot be read"):
        load({f"{variable}_FILE": "nowhere"})


def test_the_settings_do_not_show_their_addresses() -> None:
    """Their repr may end up in a traceback."""
    assert "hunter2" not in repr(load({"CATALOG_DATABASE": ADDRESS, "ORDER_DATABASE": ADDRESS}))


@pytest.mark.parametrize("variable", ["CATALOG_DATABSE", "ORDER_DATABASES"])
def test_a_misspelt_address_is_named(variable: str) -> None:
    with pytest.raises(SettingsError, match=f"^{variable} is not a setting; did you mean"):
        load({variable: ADDRESS})
