import pytest

from conf.settings import Address, SettingsError, buy_probability, describe, load


def test_the_defaults_are_the_documented_ones() -> None:
    settings = load({})
    assert [str(tier.bind) for tier in settings.tiers] == ["127.0.0.1:10086", "127.0.0.1:10010", "127.0.0.1:6060"]
    assert [tier.address for tier in settings.tiers] == [tier.bind for tier in settings.tiers]
    assert (str(settings.data_dir), str(settings.products)) == ("data", "conf/database.txt")
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
def test_a_tier_is_reached_at_a_host_a_port_or_a_url(text: str, address: Address) -> None:
    assert load({"CATALOG": text}).catalog.address == address


@pytest.mark.parametrize(
    ("bind", "reached_at"),
    [("0.0.0.0:7", "127.0.0.1:7"), ("[::]:7", "[::1]:7"), ("10.0.0.1:7", "10.0.0.1:7"), ("10.0.0.1", "10.0.0.1:10010")],
)
def test_a_tier_is_reached_where_it_listens(bind: str, reached_at: str) -> None:
    assert str(load({"ORDER_BIND": bind}).order.address) == reached_at


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
        ("ORDER_THREADS", "-1"),
        ("FRONT_THREADS", "\u0661"),
    ],
)
def test_an_impossible_value_is_named(variable: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"^{variable}="):
        load({variable: value})


@pytest.mark.parametrize("value", ["1.5", "-0.1", "nan", "often"])
def test_an_impossible_probability_is_named_to_the_client_and_is_nothing_to_the_tiers(value: str) -> None:
    load({"p": value})
    with pytest.raises(SettingsError, match=r"^p="):
        buy_probability({"p": value})


def test_a_misspelt_name_is_named() -> None:
    with pytest.raises(SettingsError, match="CATALOG_WORKER is not a setting; did you mean CATALOG_WORKERS"):
        load({"CATALOG_WORKER": "2"})


def test_variables_of_others_are_none_of_our_business() -> None:
    load({"CATALOG_PORT": "tcp://10.0.0.1:80", "ORDER_SERVICE_HOST": "10.0.0.1", "PATH": "/bin"})


def test_every_setting_is_described() -> None:
    text = describe()
    for variable in (
        "CATALOG",
        "ORDER",
        "FRONT",
        "DATA_DIR",
        "PRODUCTS",
        "p",
        "FRONT_WORKERS",
        "CATALOG_BIND",
        "FRONT_HOSTS",
    ):
        assert f"  {variable}" in text


def test_the_front_ends_prefix_is_short() -> None:
    with pytest.raises(SettingsError, match="FRONT_END_BIND is not a setting; did you mean FRONT_BIND"):
        load({"FRONT_END_BIND": "127.0.0.1:1"})
