"""Tests of the migrations of a schema on PostgreSQL."""

from pathlib import Path

import psycopg
import pytest

from db.postgres.migrate import migrate


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    """A folder with one migration, which creates the table t (x)."""
    (tmp_path / "0001_first.sql").write_text("CREATE TABLE t (x integer); INSERT INTO t VALUES (1);")
    return tmp_path


def fetch(address: str, sql: str) -> list[tuple[object, ...]]:
    """Runs a statement, and returns its rows."""
    with psycopg.connect(address, autocommit=True) as connection:
        cursor = connection.execute(sql.encode())
        return cursor.fetchall() if cursor.description else []


def test_creates_the_schema(postgres_address: str, scripts: Path) -> None:
    migrate(postgres_address, "catalog", scripts)
    assert fetch(postgres_address, "SELECT x FROM catalog.t") == [(1,)]
