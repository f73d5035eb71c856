"""Patroni's configuration: no acknowledged buy is on one node only, and a dead leader is replaced soon."""

import dataclasses
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster import patroni
from cluster.layout import Layout, loopback_layout
from cluster.passwords import Passwords

PASSWORDS = Passwords("super'user", "replication", "rewind", "it's", "api")


def settings(layout: Layout, listen: str | None = None) -> dict[str, Any]:
    files = patroni.Files(Path("/data"), Path("/usr/lib/postgresql/15/bin"), Path("/data/first.sql"))
    return patroni.configuration(layout, layout.nodes[1], files, PASSWORDS, listen)


def test_a_commit_waits_for_a_standby_and_without_one_for_good() -> None:
    shared = settings(loopback_layout())["bootstrap"]["dcs"]
    assert shared["synchronous_mode"] == "quorum"
    assert shared["synchronous_mode_strict"] is True
    assert shared["postgresql"]["parameters"]["synchronous_commit"] == "on"
    assert settings(loopback_layout(is_synchronous=False))["bootstrap"]["dcs"]["synchronous_mode"] is False


def test_patroni_accepts_the_times() -> None:
    """Its rule: loop_wait + 2 * retry_timeout <= ttl, and 20 is the least ttl."""
    shared = settings(loopback_layout())["bootstrap"]["dcs"]
    assert shared["loop_wait"] + 2 * shared["retry_timeout"] <= shared["ttl"] == 20
    assert shared["primary_start_timeout"] == 0


def test_a_deadlock_is_found_before_a_lock_times_out() -> None:
    parameters = settings(loopback_layout())["bootstrap"]["dcs"]["postgresql"]["parameters"]
    assert (parameters["deadlock_timeout"], parameters["lock_timeout"]) == ("1s", "5s")


def test_nobody_connects_without_a_password() -> None:
    rules = settings(loopback_layout())["postgresql"]["pg_hba"]
    assert rules and all(rule.split()[-1] == "scram-sha-256" for rule in rules)
    assert "host toystore toystore samenet scram-sha-256" in rules


def test_postgresql_listens_on_its_own_address_or_on_all() -> None:
    layout = loopback_layout()
    assert settings(layout)["postgresql"]["listen"] == "127.0.0.2:15432"
    everywhere = settings(dataclasses.replace(layout, listens_everywhere=True), listen="172.18.0.4")
    assert everywhere["postgresql"]["listen"] == "*:15432"
    assert everywhere["postgresql"]["connect_address"] == "127.0.0.2:15432"
    assert everywhere["restapi"]["listen"] == "172.18.0.4:18008"


def test_the_files_are_private_and_the_password_is_quoted(tmp_path: Path) -> None:
    files = patroni.Files(tmp_path, Path("/bin"), tmp_path / "first.sql")
    written = settings(loopback_layout())
    patroni.write(files, written, PASSWORDS)
    assert yaml.safe_load(files.configuration.read_text()) == written
    assert "CREATE ROLE toystore LOGIN PASSWORD 'it''s';" in files.first_statements.read_text()
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}


@pytest.mark.parametrize("program", ["psql", "--set=ON_ERROR_STOP=1", "--file=/data/first.sql"])
def test_the_first_statements_run_once_or_stop_the_bootstrap(program: str) -> None:
    assert program in settings(loopback_layout())["bootstrap"]["post_bootstrap"]
