"""The settings: their defaults, their forms, and the errors that name an invalid one."""

from pathlib import Path

import pytest

from conf.addresses import Address
from conf.settings import buy_probability, describe, load, load_only, patience_s
from conf.variables import SettingsError


def test_the_defaults_are_the_documented_ones() -> None:
    settings = load({})
    binds = ["127.0.0.1:10086", "127.0.0.1:10010", "127.0.0.1:6060", "127.0.0.1:6061"]
    assert [str(tier.bind) for tier in settings.tiers] == binds
    assert [tier.address for tier in settings.tiers] == [tier.bind for tier in settings.tiers]
    assert (str(settings.data_dir), str(settings.products)) == ("data", "conf/database.txt")
    assert (str(settings.backup_dir), settings.pictures, settings.currency) == ("backups", None, None)
    assert (settings.secrets, settings.owner_secrets) == (None, None)
    assert buy_probability({}) is None


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("shop", Address("shop", 10086)),
        ("shop:1", Address("shop", 1)),
        ("http://shop:80", Address("shop", 80)),
        ("http://shop/", Address("shop", 10086)),
        ("[::1]:5", Address("::1", 5)),
        ("10.0.0.1", Address("10.0.0.1", 10086)),
    ],
)
def test_an_address_is_a_host_a_port_or_a_url(text: str, address: Address) -> None:
    assert load({"CATALOG": text}).catalog.address == address


def test_a_tier_behind_has_several_addresses_with_commas_between_them() -> None:
    tier = load({"ORDER": "a, [::1]:7,http://b:8"}).order
    assert tier.addresses == (Address("a", 10010), Address("::1", 7), Address("b", 8))
    assert tier.address == Address("a", 10010)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a,", "'' is not a host, host:port or http://host:port"),
        ("a,b c", "'b c' is not a host"),
        ("a,b:0", "'b:0' is not a host"),
        ("a,https://b", "'https://b': only the addresses of shop and desk"),
        ("a,b,a:10086", "has a:10086 twice"),
    ],
)
def test_an_invalid_one_of_several_addresses_is_named(text: str, why: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load({"CATALOG": text})
    assert str(caught.value).startswith(f"CATALOG={text!r}") and why in str(caught.value)


@pytest.mark.parametrize("variable", ["FRONT", "BACK_OFFICE"])
def test_browsers_reach_shop_and_desk_at_one_address(variable: str) -> None:
    with pytest.raises(SettingsError, match=f"^{variable}='a,b' is not a host"):
        load({variable: "a,b"})


@pytest.mark.parametrize(
    ("bind", "address"),
    [("0.0.0.0:7", "127.0.0.1:7"), ("[::]:7", "[::1]:7"), ("10.0.0.1:7", "10.0.0.1:7"), ("10.0.0.1", "10.0.0.1:10010")],
)
def test_the_default_address_is_where_the_tier_listens(bind: str, address: str) -> None:
    assert str(load({"ORDER_BIND": bind}).order.address) == address


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CATALOG", "https://shop"),
        ("CATALOG", "a b"),
        ("ORDER_BIND", "shop:70000"),
        ("FRONT_BIND", ":6060"),
        ("FRONT", "http://shop/path"),
        ("CATALOG", "a..b"),
        ("CATALOG", "-"),
        ("CATALOG_BIND", "10086"),
        ("CATALOG", "[:::]"),
        ("CATALOG", "x" * 64),
        ("CATALOG", "127.0.0.1:0"),
        ("CATALOG_BIND", "127.0.0.1:0"),
        ("CATALOG_WORKERS", "0"),
        ("CATALOG_WORKERS", "two"),
        ("CATALOG_THREADS", "-1"),
        ("BACK_OFFICE", "desk:x"),
        ("BACK_OFFICE_BIND", "6061"),
        ("CURRENCY", "eur"),
        ("CURRENCY", "EURO"),
        ("CURRENCY", "\u00c5AA"),
        ("PICTURES", "~nobody-known/x"),
        ("BACKUP_DIR", "b\udce4r"),
        ("BOOKS_DIR", "b\udce4r"),
        ("FRONT_THREADS", "\u0661"),
    ],
)
def test_an_invalid_value_is_named(variable: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"^{variable}="):
        load({variable: value})


@pytest.mark.parametrize("value", ["1.5", "-0.1", "nan", "often"])
def test_an_invalid_probability_stops_the_client_and_not_the_tiers(value: str) -> None:
    assert load({"p": value}) == load({})
    with pytest.raises(SettingsError, match=r"^p="):
        buy_probability({"p": value})


def test_a_misspelt_setting_is_named() -> None:
    with pytest.raises(SettingsError, match="CATALOG_WORKER is not a setting; did you mean CATALOG_WORKERS"):
        load({"CATALOG_WORKER": "2"})


def test_the_order_tier_has_no_threads_to_set() -> None:
    """A variable without effect must not be ignored in silence."""
    with pytest.raises(SettingsError, match=r"^ORDER_THREADS is not a setting: the order tier has no threads"):
        load({"ORDER_THREADS": "4"})
    assert load({}).order.threads == load({"ORDER_THREADS": ""}).order.threads == 0, "an empty one is not set"


@pytest.mark.parametrize("ending", ["WORKERS", "THREADS"])
def test_the_back_office_has_neither_workers_nor_threads_to_set(ending: str) -> None:
    """A second worker would not know which logins have ended in the first."""
    with pytest.raises(SettingsError, match=rf"^BACK_OFFICE_{ending} is not a setting: the back office has "):
        load({f"BACK_OFFICE_{ending}": "2"})
    assert load({}).back_office.workers == 1


def test_the_settings_of_pages_and_backups_are_read() -> None:
    settings = load({"CURRENCY": "EUR", "PICTURES": "toys", "BACKUP_DIR": "safe/place"})
    assert (settings.currency, settings.pictures, settings.backup_dir) == ("EUR", Path("toys"), Path("safe/place"))
    assert load({"CURRENCY": "", "PICTURES": "", "BACKUP_DIR": "", "BOOKS_DIR": ""}) == load({})


@pytest.mark.parametrize(
    "variable", ["BACK_OFFICE_BINDS", "BACK_OFFICE_HOST", "OWNER_SECRETS", "BACKUP_DIRS", "BOOKS_DIRS"]
)
def test_a_misspelt_setting_of_the_owner_is_named(variable: str) -> None:
    with pytest.raises(SettingsError, match=f"^{variable} is not a setting; did you mean {variable.rstrip('S')[:9]}"):
        load({variable: "x"})


def test_variables_of_other_programs_are_ignored() -> None:
    others = {"CATALOG_PORT": "tcp://10.0.0.1:80", "ORDER_SERVICE_HOST": "10.0.0.1", "PATH": "/bin"}
    assert load(others) == load({})


def test_every_setting_is_described() -> None:
    text = describe()
    for variable in (
        "CATALOG",
        "ORDER",
        "FRONT",
        "CATALOG_DATABASE",
        "CATALOG_DATABASE_FILE",
        "ORDER_DATABASE",
        "ORDER_DATABASE_FILE",
        "DATA_DIR",
        "PRODUCTS",
        "WORKER",
        "p",
        "FRONT_WORKERS",
        "CATALOG_BIND",
        "FRONT_HOSTS",
        "BACK_OFFICE",
        "BACK_OFFICE_BIND",
        "BACK_OFFICE_HOSTS",
        "OWNER_SECRET",
        "OWNER_SECRET_FILE",
        "CURRENCY",
        "PICTURES",
        "BACKUP_DIR",
        "BOOKS_DIR",
    ):
        assert f"  {variable}" in text


def test_the_prefix_of_the_front_end_is_front() -> None:
    with pytest.raises(SettingsError, match="FRONT_END_BIND is not a setting; did you mean FRONT_BIND"):
        load({"FRONT_END_BIND": "127.0.0.1:1"})


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://shop.example", "https://shop.example"),
        ("HTTPS://shop.example:443/", "https://shop.example"),
        ("https://shop.example:8443", "https://shop.example:8443"),
        ("https://[::1]", "https://[::1]"),
        ("http://shop.example", "http://shop.example:6060"),
        ("shop.example:443", "http://shop.example:443"),
    ],
)
def test_the_shop_may_be_behind_https(text: str, url: str) -> None:
    assert load({"FRONT": text}).front_end.address.url == url


def test_the_desk_may_be_behind_https() -> None:
    assert load({"BACK_OFFICE": "https://desk.example"}).back_office.address.url == "https://desk.example"


@pytest.mark.parametrize("variable", ["CATALOG", "ORDER", "FRONT_BIND", "CATALOG_BIND", "BACK_OFFICE_BIND"])
def test_only_the_addresses_of_shop_and_desk_may_be_https(variable: str) -> None:
    with pytest.raises(SettingsError, match=rf"^{variable}='https://shop': only the addresses of shop and desk"):
        load({variable: "https://shop"})


@pytest.mark.parametrize(
    "text", ["https://shop/toys", "https://http://shop", "https://", "https://shop:0", "ftp://shop"]
)
def test_an_invalid_address_of_the_shop_is_named(text: str) -> None:
    with pytest.raises(
        SettingsError, match=r"^FRONT='.*' is not a host, host:port or http://host:port or https://host$"
    ):
        load({"FRONT": text})


def test_a_path_may_start_with_a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "secret").write_text("s" * 32)
    settings = load({"DATA_DIR": "~/x", "PRODUCTS": "~/toys.txt", "TIER_SECRET_FILE": "~/secret"})
    assert (settings.data_dir, settings.products) == (tmp_path / "x", tmp_path / "toys.txt")
    assert settings.secrets is not None
    assert load({"DATA_DIR": "./~"}).data_dir == Path("~"), "a folder may be called so"
    for variable in ("DATA_DIR", "PRODUCTS", "TIER_SECRET_FILE"):
        with pytest.raises(SettingsError, match=f"^{variable}=.* begins with the home of nobody known"):
            load({variable: "~nobody-known/x"})


def test_the_folder_of_the_databases_must_be_utf_8() -> None:
    with pytest.raises(SettingsError, match=r"^DATA_DIR='b\\udce4r' is not UTF-8"):
        load({"DATA_DIR": "b\udce4r"})
    assert str(load({"DATA_DIR": "b\u00e4r"}).data_dir) == "b\u00e4r"
    load({"PRODUCTS": "b\udce4r"})  # Python opens this file, and SQLite does not


def test_load_only_ignores_all_other_settings() -> None:
    environ = {"DATA_DIR": "there", "CATALOG_BIND": ":", "REFUSED_PER_S": "few", "FRONT": "shop"}
    assert load_only("DATA_DIR", environ=environ) == load({"DATA_DIR": "there"})
    with pytest.raises(SettingsError, match=r"^CATALOG_BIND="):
        load_only("CATALOG_BIND", environ=environ)


def test_the_worker_is_the_stores_own_or_gunicorns_threaded_one() -> None:
    assert load({}).worker_class == load({"WORKER": ""}).worker_class == load({"WORKER": "store"}).worker_class
    assert load({}).worker_class == "server.worker.StoreWorker"
    assert load({"WORKER": "gthread"}).worker_class == "gthread"
    for misspelt in ("Gthread", "gthreads", "sync", " store"):
        with pytest.raises(SettingsError, match=f"^WORKER='{misspelt}' is not one of: store, gthread$"):
            load({"WORKER": misspelt})


@pytest.mark.parametrize("variable", ["CATALOG_HOSTS", "ORDER_HOSTS", "FRONT_HOSTS", "BACK_OFFICE_HOSTS"])
@pytest.mark.parametrize("value", ["a b", "shop.example:80", "http://shop.example", "*", "a,,b", ",", "[::1]", "10086"])
def test_an_invalid_host_name_stops_the_start(variable: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"^{variable}=.* is not a host's name, without a port"):
        load({variable: value})


def test_a_misspelt_list_of_host_names_is_named() -> None:
    with pytest.raises(SettingsError, match="FRONT_HOST is not a setting; did you mean FRONT_HOSTS"):
        load({"FRONT_HOST": "shop.example"})
    assert load({"FRONT_HOSTS": ""}).front_end.hosts == frozenset()


def test_the_books_are_where_the_data_is_unless_a_folder_has_links_to_both() -> None:
    assert load({}).books_dir == Path("data")
    assert load({"DATA_DIR": "shop"}).books_dir == Path("shop")
    assert load({"DATA_DIR": "shop", "BOOKS_DIR": "both"}).books_dir == Path("both")


@pytest.mark.parametrize("variable", ["CATALOG_DATABASE", "CATALOG_DATABASE_FILE"])
def test_a_tier_on_postgresql_has_two_workers(variable: str, tmp_path: Path) -> None:
    """They write side by side there. A second worker on a file would only wait for the write lock."""
    (tmp_path / "address").write_text("postgresql://host/store")
    value = str(tmp_path / "address") if variable.endswith("_FILE") else "postgresql://host/store"
    settings = load({variable: value})
    assert (settings.catalog.workers, settings.order.workers) == (2, 1)
    assert load({variable: value, "CATALOG_WORKERS": "3"}).catalog.workers == 3


def test_a_process_has_at_most_ten_connections_by_default() -> None:
    assert load({}).database_connections == 10
    assert load({"DATABASE_CONNECTIONS": "4"}).database_connections == 4
    with pytest.raises(SettingsError, match=r"^DATABASE_CONNECTIONS='0' is not a whole number from 1 to 1000$"):
        load({"DATABASE_CONNECTIONS": "0"})


@pytest.mark.parametrize("variable", ["CATALOG_DATABASE", "ORDER_DATABASE_FILE"])
def test_the_client_is_patient_for_a_failover_where_a_database_is_set(variable: str) -> None:
    """Whether the address can be read is no matter of the client's."""
    assert patience_s({}) == patience_s({variable: ""}) == 10
    assert patience_s({variable: "/no/such/file"}) == 30
    assert patience_s({variable: "/no/such/file", "PATIENCE_S": "5"}) == 5
    with pytest.raises(SettingsError, match=r"^PATIENCE_S='1h' is not a whole number from 1 to 3600$"):
        patience_s({"PATIENCE_S": "1h"})


@pytest.mark.parametrize("variable", ["DATABASE_CONECTIONS", "PATIENCE_SS"])
def test_a_misspelt_setting_of_no_tier_is_named(variable: str) -> None:
    with pytest.raises(SettingsError, match=f"^{variable} is not a setting; did you mean"):
        load({variable: "1"})
