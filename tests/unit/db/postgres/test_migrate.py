"""Tests of the migrations of a schema on PostgreSQL."""

import traceback
from pathlib import Path
from secrets import token_hex

import psycopg
import pytest

from db.postgres.migrate import migrate
from db.start import StartPostponed, StartRefused
from tests.support.at_once import at_once
from tests.support.postgres import TestServer

FIRST = "CREATE TABLE t (x integer);\n-- 50 % done; :x\nINSERT INTO t VALUES (1);"


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    """A folder with one migration, which creates the table t (x)."""
    (tmp_path / "0001_first.sql").write_text(FIRST)
    return tmp_path


def rows(other: psycopg.Connection) -> list[tuple[object, ...]]:
    """Returns the rows of the table."""
    return other.execute("SELECT * FROM catalog.t").fetchall()


def applied(other: psycopg.Connection) -> list[tuple[object, ...]]:
    """Returns the versions and names of the migrations that have run."""
    return other.execute("SELECT version, name FROM catalog.migrations ORDER BY version").fetchall()


def test_creates_the_schema_once(postgres_address: str, scripts: Path, other: psycopg.Connection) -> None:
    for _ in range(2):
        migrate(postgres_address, "catalog", scripts)
    assert rows(other) == [(1,)]
    assert applied(other) == [(1, "0001_first")]


def test_several_processes_that_start_at_once_create_it_once(
    postgres_address: str, scripts: Path, other: psycopg.Connection
) -> None:
    at_once(lambda _: migrate(postgres_address, "catalog", scripts))
    assert rows(other) == [(1,)]


def test_an_upgrade_runs_what_is_missing_and_is_logged(
    postgres_address: str, scripts: Path, other: psycopg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    migrate(postgres_address, "catalog", scripts)
    (scripts / "0002_second.sql").write_text("ALTER TABLE t ADD y text; UPDATE t SET y = 'new';")
    with caplog.at_level("INFO"):
        migrate(postgres_address, "catalog", scripts)
    assert rows(other) == [(1, "new")]
    assert applied(other) == [(1, "0001_first"), (2, "0002_second")]
    assert any("was migrated from schema 1 to schema 2" in message for message in caplog.messages)


def test_a_migration_that_fails_leaves_the_schema_as_it_was(
    postgres_address: str, scripts: Path, other: psycopg.Connection
) -> None:
    migrate(postgres_address, "catalog", scripts)
    (scripts / "0002_second.sql").write_text("UPDATE t SET x = 2;")
    (scripts / "0003_third.sql").write_text("SELECT 1 / 0;")
    with pytest.raises(StartRefused, match=r"0003_third failed \(division by zero\); the schema stays as it was"):
        migrate(postgres_address, "catalog", scripts)
    assert rows(other) == [(1,)]
    assert applied(other) == [(1, "0001_first")]


def test_a_schema_of_a_newer_release_is_refused(postgres_address: str, scripts: Path) -> None:
    second = scripts / "0002_second.sql"
    second.write_text("SELECT 1;")
    migrate(postgres_address, "catalog", scripts)
    second.unlink()
    with pytest.raises(StartRefused, match="has schema 2, newer than this code's 1; run the newer release"):
        migrate(postgres_address, "catalog", scripts)


def test_a_migration_that_was_edited_after_it_ran_is_refused(postgres_address: str, scripts: Path) -> None:
    migrate(postgres_address, "catalog", scripts)
    (scripts / "0001_first.sql").write_text(FIRST + "\n")
    with pytest.raises(StartRefused, match="the migration 0001_first that made the schema catalog is not the one of"):
        migrate(postgres_address, "catalog", scripts)


def test_a_schema_of_somebody_else_is_refused_and_not_touched(
    postgres_address: str, scripts: Path, other: psycopg.Connection
) -> None:
    other.execute("CREATE SCHEMA catalog CREATE TABLE books (title text)")
    with pytest.raises(StartRefused, match="the schema catalog is not one of this store"):
        migrate(postgres_address, "catalog", scripts)
    with pytest.raises(psycopg.errors.UndefinedTable):
        rows(other)


def test_a_schema_that_an_administrator_has_created_is_filled(
    postgres_address: str, scripts: Path, other: psycopg.Connection
) -> None:
    other.execute("CREATE SCHEMA catalog")
    migrate(postgres_address, "catalog", scripts)
    assert rows(other) == [(1,)]


def test_a_role_needs_no_privilege_of_an_owner_once_the_schema_is_there(
    postgres_address: str, scripts: Path, other: psycopg.Connection
) -> None:
    other.execute("CREATE ROLE clerk LOGIN PASSWORD 'secret'")
    try:
        clerk = f"postgresql://clerk:secret@{postgres_address.rpartition('@')[2]}"
        with pytest.raises(StartRefused, match=r"permission denied.*migrate once as the owner of the schema catalog"):
            migrate(clerk, "catalog", scripts)
        migrate(postgres_address, "catalog", scripts)
        other.execute("GRANT USAGE ON SCHEMA catalog TO clerk; GRANT SELECT ON ALL TABLES IN SCHEMA catalog TO clerk")
        migrate(clerk, "catalog", scripts)
    finally:
        other.execute("DROP OWNED BY clerk; DROP ROLE clerk")


def test_a_server_that_is_away_may_come_back(scripts: Path) -> None:
    with pytest.raises(StartPostponed, match=r"postgresql://127.0.0.1:1/toys \(CATALOG_DATABASE\)"):
        migrate("postgresql://me:secret@127.0.0.1:1/toys", "catalog", scripts, "CATALOG_DATABASE")


def test_what_is_no_address_is_refused(scripts: Path) -> None:
    with pytest.raises(StartRefused, match="CATALOG_DATABASE has no address of PostgreSQL"):
        migrate("postgresql://host?no=option", "catalog", scripts, "CATALOG_DATABASE")


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_database_that_is_not_unicode_is_refused(postgres_server: TestServer, scripts: Path, encoding: str) -> None:
    """Names would be stored as other names, and not be found. initdb without a locale makes such databases."""
    name = f"test_{encoding.lower()}"
    postgres_server.execute(f"CREATE DATABASE {name} ENCODING {encoding} TEMPLATE template0 LOCALE 'C'")
    try:
        with pytest.raises(StartRefused, match=f"the database has the encoding {encoding}; create one with"):
            migrate(postgres_server.embedded.address(name), "catalog", scripts)
    finally:
        postgres_server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_an_address_that_libpq_cannot_read_is_not_shown(scripts: Path) -> None:
    """libpq's own message has all of it."""
    password = token_hex()
    with pytest.raises(StartRefused) as refused:
        migrate(f"postgresql://me:{password}@[host/toys", "catalog", scripts, "CATALOG_DATABASE")
    assert password not in "".join(traceback.format_exception(refused.value))
