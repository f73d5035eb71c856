"""compose.cluster.yaml gives each container only the rights, networks and secrets that it needs."""

from typing import Any

import pytest
import yaml

from tests.support.tiers import ROOT

PROJECT: dict[str, Any] = yaml.safe_load((ROOT / "compose.cluster.yaml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = PROJECT["services"]
NODES = ("node1", "node2", "node3")
BEHIND = ("catalog1", "catalog2", "order1", "order2")
FRONT = ("front_end1", "front_end2")


@pytest.mark.parametrize("service", SERVICES)
def test_no_container_may_write_to_itself_or_gain_rights(service: str) -> None:
    given = SERVICES[service]
    assert given["read_only"] is True
    assert given["cap_drop"] == ["ALL"] and given["security_opt"] == ["no-new-privileges:true"]
    assert given["pids_limit"] <= 512


@pytest.mark.parametrize("service", sorted(SERVICES.keys() - {"secrets"}))
def test_each_container_that_stays_is_started_again_and_has_limits(service: str) -> None:
    given = SERVICES[service]
    assert given["restart"] == "unless-stopped"
    assert given["mem_limit"] and given["logging"]["options"] == {"max-size": "10m", "max-file": "3"}


@pytest.mark.parametrize("service", sorted(SERVICES.keys() - {"secrets", "shop"}))
def test_nodes_and_tiers_have_a_health_check(service: str) -> None:
    assert SERVICES[service]["healthcheck"]["test"][0] == "CMD"


def test_only_the_nodes_reach_the_replication_and_only_tiers_with_a_store_reach_the_nodes() -> None:
    def members(network: str) -> set[str]:
        return {name for name, given in SERVICES.items() if network in given.get("networks", ())}

    assert members("nodes") == set(NODES)
    assert members("database") == {*NODES, *BEHIND}
    assert members("shop") == {*FRONT, "shop"}
    assert all(PROJECT["networks"][name] == {"internal": True} for name in ("nodes", "database", "store", "shop"))


def test_only_shop_and_desk_are_published_on_loopback() -> None:
    published = {name: given["ports"] for name, given in SERVICES.items() if "ports" in given}
    assert published.keys() == {"shop", "back_office"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)


def test_secrets_are_files_and_each_part_has_only_its_own() -> None:
    for name, given in SERVICES.items():
        folders = {volume.split(":")[0] for volume in given.get("volumes", ()) if volume.startswith("secrets-")}
        wanted = {"secrets-nodes"} if name in NODES else {"secrets-store", "secrets-owner"} if name in BEHIND else set()
        wanted |= {"secrets-owner"} if name == "back_office" else set()
        if name != "secrets":
            assert folders == wanted, name
            assert all(volume.endswith(":ro") for volume in given.get("volumes", ()) if volume.startswith("secrets-"))
        assert not {variable for variable in given.get("environment", {}) if variable.endswith("SECRET")}


def test_there_are_two_of_each_tier_and_each_calls_both_of_the_next() -> None:
    for order in ("order1", "order2"):
        assert SERVICES[order]["environment"]["CATALOG"] == "catalog1,catalog2"
    for front in (*FRONT, "back_office"):
        environment = SERVICES[front]["environment"]
        assert (environment["CATALOG"], environment["ORDER"]) == ("catalog1,catalog2", "order1,order2")


def test_audits_and_backups_of_the_desk_have_room_that_either_order_tier_reaches() -> None:
    """A tier's own file system is read-only, and its /tmp is too small for a copy of the books."""
    for order in ("order1", "order2"):
        environment = SERVICES[order]["environment"]
        assert (environment["BACKUP_DIR"], environment["TMPDIR"]) == ("/backups", "/backups")
        assert "backups:/backups" in SERVICES[order]["volumes"]
    assert "backups" in PROJECT["volumes"]
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    assert any("-o 10001" in line and "/backups" in line.split() for line in dockerfile.splitlines())
