"""Tests of transactions on PostgreSQL and of its errors."""

from collections.abc import Iterator

import pytest

from db.postgres.database import Database


@pytest.fixture
def database(postgres_address: str) -> Iterator[Database]:
    """A database with the table t (x)."""
    database = Database(postgres_address, "public")
    with database.write() as session:
        session.fetch_all("CREATE TABLE t (x integer PRIMARY KEY)", {})
    yield database
    database.close()


def test_commits_at_the_end_of_the_block(database: Database) -> None:
    with database.write() as session:
        assert session.fetch_all("INSERT INTO t VALUES (:x) RETURNING x", {"x": 7}) == [(7,)]
    with database.read() as session:
        assert session.fetch_all("SELECT x FROM t", {}) == [(7,)]


def test_rolls_back_on_an_error(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.write() as session:
        session.fetch_all("INSERT INTO t VALUES (1)", {})
        raise ZeroDivisionError
    with database.read() as session:
        assert session.fetch_all("SELECT x FROM t", {}) == []


def test_runs_several_statements_together(database: Database) -> None:
    with database.write() as session:
        rows = session.fetch_together(("INSERT INTO t VALUES (1)", {}), ("SELECT x + :y FROM t", {"y": 1}))
        assert rows == [[], [(2,)]]
        assert session.commit_with(("INSERT INTO t VALUES (2) RETURNING x", {})) == [[(2,)]]
    with database.read() as session:
        assert session.fetch_all("SELECT count(*) FROM t", {}) == [(2,)]


def test_runs_work_and_returns_its_result(database: Database) -> None:
    assert database.run(lambda session: session.fetch_all("SELECT 1", {})) == [(1,)]


def test_can_be_written(database: Database) -> None:
    database.require_writable()
