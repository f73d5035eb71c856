"""Tests of the servers that are refused because they could lose an answered buy."""

from pathlib import Path

import pytest

from db.postgres.database import Database
from db.postgres.durability import NotDurable, require_durable
from db.postgres.migrate import migrate
from db.start import StartRefused
from domain.errors import Unavailable
from tests.support.postgres import TestServer

DURABLE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on", "synchronous_standby_names": ""}


@pytest.mark.parametrize(
    "settings",
    [{}, {"synchronous_commit": "local"}, {"synchronous_commit": "remote_apply", "synchronous_standby_names": "a"}],
)
def test_a_server_that_syncs_is_durable(settings: dict[str, str]) -> None:
    require_durable(DURABLE | settings, 14_00_00)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"fsync": "off"}, "fsync = off"),
        ({"full_page_writes": "off"}, "full_page_writes = off"),
        ({"synchronous_commit": "off"}, "synchronous_commit is off"),
        ({"synchronous_commit": "local", "synchronous_standby_names": "a"}, "synchronous_commit is local"),
        (
            {"synchronous_commit": "remote_write", "synchronous_standby_names": "a"},
            "synchronous_commit is remote_write",
        ),
    ],
)
def test_a_server_that_can_lose_a_commit_is_refused(settings: dict[str, str], why: str) -> None:
    with pytest.raises(NotDurable, match=why):
        require_durable(DURABLE | settings, 18_00_00)


def test_a_server_that_is_too_old_is_refused() -> None:
    with pytest.raises(NotDurable, match="is PostgreSQL 13; this store needs 14 or newer"):
        require_durable(DURABLE, 13_00_22)


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes", "synchronous_commit"])
def test_a_tier_does_not_start_on_such_a_server(
    postgres_server: TestServer, postgres_address: str, tmp_path: Path, setting: str
) -> None:
    with postgres_server.settings(**{setting: "off"}), pytest.raises(StartRefused, match=setting):
        migrate(postgres_address, "catalog", tmp_path)


@pytest.mark.parametrize("owner", ["ROLE postgres", "DATABASE {database}", "ROLE postgres IN DATABASE {database}"])
def test_what_a_role_or_a_database_sets_counts(postgres_server: TestServer, postgres_address: str, owner: str) -> None:
    """It is checked for each new connection, since it may be set while the store runs."""
    whose = owner.format(database=postgres_address.rpartition("/")[2])
    postgres_server.execute(f"ALTER {whose} SET synchronous_commit = off")
    database = Database(postgres_address, "public")
    try:
        with pytest.raises(Unavailable) as raised:
            database.require_writable()
    finally:
        postgres_server.execute(f"ALTER {whose} RESET synchronous_commit")
    assert "synchronous_commit is off for this role and database" in raised.value.__notes__[0]


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes", "synchronous_commit"])
def test_a_server_that_ceases_to_be_durable_is_left_by_kept_connections_too(
    postgres_server: TestServer, database: Database, setting: str
) -> None:
    """A reload changes the settings of all connections. The next transaction tells no outcome, and later ones may."""
    database.run(lambda session: session.fetch_all("INSERT INTO t VALUES (1)", {}))
    with postgres_server.settings(**{setting: "off"}):
        for read_or_write in ("SELECT x FROM t", "INSERT INTO t VALUES (2)"):
            with pytest.raises(Unavailable) as caught:
                database.run(lambda session, sql=read_or_write: session.commit_with((sql, {})))  # type: ignore[misc]
            assert setting in caught.value.__notes__[0]
        with pytest.raises(Unavailable):
            database.run(lambda session: session.fetch_all("INSERT INTO t VALUES (3)", {}))
    rows = database.run(lambda session: session.fetch_all("SELECT x FROM t WHERE x <> 2", {}))
    assert rows == [(1,)]
