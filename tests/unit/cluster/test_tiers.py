"""The tiers of a cluster on this machine: two of each, each with the settings that it needs and no more."""

from pathlib import Path

import pytest

from cluster.programs import Programs
from cluster.tiers import LocalTiers, TierPorts

PROGRAMS = Programs("etcd", "haproxy", "setpriv", Path("/bin"), ("patroni",), "", None)
ADDRESS = "postgresql://toystore:word@127.0.0.1:15432/toystore"


@pytest.fixture
def tiers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalTiers:
    monkeypatch.setenv("OWNER_SECRET", "of-the-shell-that-starts-the-cluster")
    return LocalTiers(tmp_path / "tiers", ADDRESS, PROGRAMS, TierPorts(), {"CURRENCY": "EUR"})


def test_there_are_two_of_each_tier_and_one_desk(tiers: LocalTiers) -> None:
    assert {tier.name: str(tier.address) for tier in tiers.tiers} == {
        "catalog1": "127.0.0.1:10086",
        "catalog2": "127.0.0.2:10086",
        "order1": "127.0.0.1:10010",
        "order2": "127.0.0.2:10010",
        "front_end1": "127.0.0.1:16060",
        "front_end2": "127.0.0.2:16060",
        "back_office": "127.0.0.1:6061",
    }


def test_each_tier_calls_both_of_the_next_and_listens_at_its_own_address(tiers: LocalTiers) -> None:
    for tier in tiers.tiers:
        environment = tier.process.environment
        assert environment["CATALOG"] == "127.0.0.1:10086,127.0.0.2:10086"
        assert environment["ORDER"] == "127.0.0.1:10010,127.0.0.2:10010"
        assert environment["CURRENCY"] == "EUR"
    assert [tier.process.environment["ORDER_BIND"] for tier in tiers.of_kind("order")] == [
        "127.0.0.1:10010",
        "127.0.0.2:10010",
    ]


def test_the_front_ends_do_not_get_the_secret_of_the_owner(tiers: LocalTiers) -> None:
    for tier in tiers.tiers:
        environment = tier.process.environment
        assert "OWNER_SECRET" not in environment
        assert environment.get("OWNER_SECRET_FILE") == (None if tier.kind == "front_end" else str(tiers.owner_secret))


def test_the_password_of_the_database_is_in_a_private_file_and_in_no_environment(tiers: LocalTiers) -> None:
    assert tiers.database_file.read_text().strip() == ADDRESS
    assert tiers.database_file.stat().st_mode & 0o077 == 0
    for process in tiers.processes:
        assert not any(":word@" in value for value in process.environment.values())


def test_haproxy_stands_before_both_front_ends(tiers: LocalTiers) -> None:
    text = (tiers.folder / "haproxy.cfg").read_text()
    assert f"bind {tiers.shop}" in text and str(tiers.shop) == "127.0.0.1:6060"
    for tier in tiers.of_kind("front_end"):
        assert f"{tier.address} check" in text


def test_what_does_not_answer_is_named(tiers: LocalTiers) -> None:
    """No tier runs on these ports in a test."""
    unused = LocalTiers(tiers.folder, ADDRESS, PROGRAMS, TierPorts(1, 2, 3, 4, 5))
    assert unused.not_ready()[0] == "catalog1: does not answer"
    assert unused.not_ready()[-1] == "shop: does not answer"
