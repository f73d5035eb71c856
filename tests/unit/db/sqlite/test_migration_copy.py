"""A migration copies the database beside itself first, and logs the upgrade."""

import logging
import re
from pathlib import Path

import apsw
import pytest

from db.sqlite.migrate import migrate
from db.start import StartRefused
from tests.support.books import query

APP_ID = 42  # the application id of the test's own database


@pytest.fixture
def path(tmp_path: Path, scripts: Path) -> Path:
    """A database at schema 1, and a second migration that has not run."""
    migrate(tmp_path / "data" / "t.db", scripts, APP_ID)
    (scripts / "0002_second.sql").write_text("ALTER TABLE t ADD COLUMN y DEFAULT 7;")
    return tmp_path / "data" / "t.db"


def copies(path: Path) -> list[Path]:
    """Returns the copies that lie beside a database."""
    return sorted(other for other in path.parent.iterdir() if "schema" in other.name)


def test_an_upgrade_keeps_a_copy_of_the_database(path: Path, scripts: Path) -> None:
    migrate(path, scripts, APP_ID)
    [copy] = copies(path)
    assert re.fullmatch(r"t\.db\.schema-1-\d{8}T\d{6}Z", copy.name)
    assert query(copy, "SELECT * FROM t") == [(1,)]
    assert query(copy, "PRAGMA user_version") == [(1,)]
    assert oct(copy.stat().st_mode & 0o777) == "0o600", "it contains the keys of buys"
    assert query(path, "SELECT * FROM t") == [(1, 7)]


def test_the_copy_contains_commits_that_are_only_in_the_wal(path: Path, scripts: Path) -> None:
    shell = apsw.Connection(str(path))
    shell.execute("INSERT INTO t VALUES (2)").fetchall()
    assert path.with_name("t.db-wal").stat().st_size > 0
    migrate(path, scripts, APP_ID)
    shell.close()
    assert query(copies(path)[0], "SELECT x FROM t") == [(1,), (2,)]


def test_an_upgrade_logs_both_schemas_and_the_copy(
    tmp_path: Path, path: Path, scripts: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        migrate(tmp_path / "new.db", scripts, APP_ID)
        migrate(path, scripts, APP_ID)
        migrate(path, scripts, APP_ID)
    [copy] = copies(path)
    assert caplog.messages == [
        f"{path} was migrated from schema 1 to schema 2; as it was, it is in {copy}",
    ]


def test_a_new_or_current_database_is_not_copied(path: Path, scripts: Path) -> None:
    assert copies(path) == []
    (scripts / "0002_second.sql").unlink()
    migrate(path, scripts, APP_ID)
    assert copies(path) == []


def test_a_failed_migration_names_the_copy_and_keeps_one_for_each_schema(path: Path, scripts: Path) -> None:
    (scripts / "0003_third.sql").write_text("INSERT INTO nowhere VALUES (1);")
    for _ in range(3):
        with pytest.raises(StartRefused, match=r"failed .*nowhere.*stays at schema 1, and a copy is in .*schema-1-"):
            migrate(path, scripts, APP_ID)
        assert len(copies(path)) == 1
        assert query(path, "PRAGMA user_version") == [(1,)]
    (scripts / "0003_third.sql").unlink()
    migrate(path, scripts, APP_ID)
    (scripts / "0003_third.sql").write_text("CREATE TABLE u (x);")
    migrate(path, scripts, APP_ID)
    assert [copy.name[:13] for copy in copies(path)] == ["t.db.schema-1", "t.db.schema-2"], "one for each schema"


def test_without_a_copy_nothing_is_migrated(path: Path, scripts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("db.sqlite.migrate.sync", fail)
    with pytest.raises(StartRefused, match="No space left on device"):
        migrate(path, scripts, APP_ID)
    assert query(path, "PRAGMA user_version") == [(1,)]
    assert copies(path) == []


def test_an_unfinished_copy_of_a_crash_is_replaced(path: Path, scripts: Path) -> None:
    path.with_name(".t.db.schema-1.unfinished").write_text("half of it")
    migrate(path, scripts, APP_ID)
    [copy] = copies(path)
    assert query(copy, "SELECT x FROM t") == [(1,)]


def test_a_linked_database_is_copied_beside_the_target(path: Path, scripts: Path, tmp_path: Path) -> None:
    (tmp_path / "t.db").symlink_to(path)
    migrate(tmp_path / "t.db", scripts, APP_ID)
    assert len(copies(path)) == 1 and copies(tmp_path / "t.db") == []
