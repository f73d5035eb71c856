"""A migration upgrades a store's own database in one transaction, and leaves any other file alone."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import apsw
import pytest

from db.sqlite.catalog import APPLICATION_ID, MIGRATIONS, CatalogStore
from db.sqlite.connection import require_safe_sqlite
from db.sqlite.migrate import migrate
from db.sqlite.order import OrderStore
from db.start import StartRefused
from tests.contracts.order_log import log_orders
from tests.support.books import query
from tests.support.tiers import ROOT

APP_ID = 42  # the application id of the test's own database


def test_an_upgrade_keeps_every_row(tmp_path: Path, scripts: Path) -> None:
    path = tmp_path / "new" / "t.db"
    migrate(path, scripts, APP_ID)
    (scripts / "0002_second.sql").write_text("ALTER TABLE t ADD COLUMN y DEFAULT 7;")
    migrate(path, scripts, APP_ID)
    migrate(path, scripts, APP_ID)
    assert query(path, "SELECT x, y FROM t") == [(1, 7)]
    assert query(path, "PRAGMA user_version") == [(2,)]
    assert query(path, "PRAGMA journal_mode") == [("wal",)]


def test_a_failing_migration_changes_nothing(tmp_path: Path, scripts: Path) -> None:
    path = tmp_path / "t.db"
    migrate(path, scripts, APP_ID)
    (scripts / "0002_second.sql").write_text("INSERT INTO t VALUES (2); CREATE TABLE u (x);")
    (scripts / "0003_third.sql").write_text("INSERT INTO nowhere VALUES (1);")
    with pytest.raises(StartRefused, match="nowhere"):
        migrate(path, scripts, APP_ID)
    assert query(path, "SELECT x FROM t") == [(1,)]
    assert query(path, "PRAGMA user_version") == [(1,)]
    assert query(path, "SELECT name FROM sqlite_schema") == [("t",)]


def test_concurrent_migrations_run_once(tmp_path: Path, scripts: Path) -> None:
    failures: list[BaseException] = []
    start = threading.Barrier(16)

    def migrate_once() -> None:
        start.wait()
        try:
            migrate(tmp_path / "t.db", scripts, APP_ID)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=migrate_once) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert query(tmp_path / "t.db", "SELECT x FROM t") == [(1,)]


def test_a_newer_database_is_refused_and_left_alone(tmp_path: Path, scripts: Path) -> None:
    path = tmp_path / "t.db"
    (scripts / "0002_second.sql").write_text("CREATE TABLE u (x);")
    migrate(path, scripts, APP_ID)
    (scripts / "0002_second.sql").unlink()
    before = path.read_bytes()
    with pytest.raises(StartRefused, match="schema 2, newer than this code's 1"):
        migrate(path, scripts, APP_ID)
    assert path.read_bytes() == before


def test_another_programs_database_is_refused_and_left_alone(tmp_path: Path, scripts: Path) -> None:
    path = tmp_path / "t.db"
    with apsw.Connection(str(path)) as other:
        other.execute("CREATE TABLE theirs (x)")
    before = path.read_bytes()
    with pytest.raises(StartRefused, match="not a database of this tier"):
        migrate(path, scripts, APP_ID)
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path, scripts: Path) -> None:
    path = tmp_path / "t.db"
    path.write_bytes(b"my diary" * 1000)
    with pytest.raises(StartRefused, match="not a database"):
        migrate(path, scripts, APP_ID)
    assert path.read_bytes() == b"my diary" * 1000


def test_a_folder_that_cannot_be_created_is_named(tmp_path: Path, scripts: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StartRefused, match="file"):
        migrate(tmp_path / "file" / "t.db", scripts, APP_ID)


def test_one_tiers_database_is_refused_by_the_other(tmp_path: Path) -> None:
    catalog, order = CatalogStore(tmp_path / "t.db"), OrderStore(tmp_path / "t.db")
    catalog.migrate()
    with pytest.raises(StartRefused, match="not a database of this tier"):
        order.migrate()


def test_a_restart_keeps_the_state(tmp_path: Path) -> None:
    for number in range(3):
        store = OrderStore(tmp_path / "order.db")
        store.migrate()
        log_orders(store, f"k{number}")
        store.close()
    assert query(tmp_path / "order.db", "SELECT number FROM orders") == [(0,), (1,), (2,)]


def test_a_sqlite_before_3_51_3_is_refused() -> None:
    for version in ("3.51.3", "3.54.1", "4.0.0"):
        require_safe_sqlite(version)
    for version in ("3.7.0", "3.40.1", "3.51.2"):
        with pytest.raises(StartRefused, match=version):
            require_safe_sqlite(version)


def test_the_version_of_sqlite_is_checked_before_the_first_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apsw, "sqlite_lib_version", lambda: "3.40.1")
    with pytest.raises(StartRefused, match=r"3\.40\.1"):
        migrate(tmp_path / "t.db", MIGRATIONS, APPLICATION_ID)
    assert not (tmp_path / "t.db").exists()


@pytest.mark.parametrize(
    "statement", ["SELECT 1;", "PRAGMA foreign_key_check;", "INSERT INTO t VALUES (1) RETURNING x;"]
)
def test_a_migration_with_a_query_in_it_runs_to_its_end(tmp_path: Path, scripts: Path, statement: str) -> None:
    (scripts / "0002_second.sql").write_text(f"{statement} CREATE TABLE u (x);")
    migrate(tmp_path / "t.db", scripts, APP_ID)
    assert query(tmp_path / "t.db", "SELECT name FROM sqlite_schema") == [("t",), ("u",)]


def test_an_empty_database_with_another_programs_version_is_refused(tmp_path: Path, scripts: Path) -> None:
    with apsw.Connection(str(tmp_path / "t.db")) as other:
        other.pragma("user_version", 1)
    with pytest.raises(StartRefused, match="not a database of this tier"):
        migrate(tmp_path / "t.db", scripts, APP_ID)


def test_another_programs_wal_is_left_alone(tmp_path: Path, scripts: Path) -> None:
    path = tmp_path / "t.db"
    program = f"""
import apsw, os
other = apsw.Connection({str(path)!r})
other.execute("PRAGMA journal_mode = WAL").fetchall()
other.execute("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (randomblob(9000))")
os._exit(0)
"""
    subprocess.run([sys.executable, "-c", program], check=True)
    files = (path, path.with_name("t.db-wal"))
    before = [file.read_bytes() for file in files]
    with pytest.raises(StartRefused, match="not a database of this tier"):
        migrate(path, scripts, APP_ID)
    assert [file.read_bytes() for file in files] == before


def test_another_programs_journal_is_left_alone(tmp_path: Path, scripts: Path) -> None:
    path = tmp_path / "t.db"
    program = f"""
import apsw, os
other = apsw.Connection({str(path)!r})
other.execute("CREATE TABLE theirs (x); PRAGMA cache_size = 1; PRAGMA cache_spill = 1; BEGIN")
other.execute("INSERT INTO theirs VALUES (randomblob(99000))")
os._exit(0)
"""
    subprocess.run([sys.executable, "-c", program], check=True)
    files = (path, path.with_name("t.db-journal"))
    before = [file.read_bytes() for file in files]
    assert before[1].startswith(b"\xd9\xd5\x05\xf9"), "the journal must be rolled back"
    with pytest.raises(StartRefused, match="not a database of this tier"):
        migrate(path, scripts, APP_ID)
    assert [file.read_bytes() for file in files] == before


def test_processes_that_start_at_once_on_a_new_folder_all_start(tmp_path: Path) -> None:
    """SQLite fails a concurrent switch to WAL at once, but only between processes, so threads do not suffice."""
    start = """
import sys, time
from pathlib import Path
from db.sqlite.catalog import CatalogStore
while time.time() < float(sys.argv[2]):
    pass
CatalogStore(Path(sys.argv[1])).migrate()
"""
    for attempt in range(5):
        begin_at = str(time.time() + 0.7)
        command = [sys.executable, "-c", start, str(tmp_path / f"{attempt}.db"), begin_at]
        processes = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE) for _ in range(4)]
        assert [process.communicate()[1] for process in processes] == [b""] * 4


def test_only_its_owner_can_read_a_new_store(tmp_path: Path) -> None:
    """The files hold the keys of buys."""
    umask = os.umask(0o022)
    try:
        store = CatalogStore(tmp_path / "data" / "catalog.db")
        store.migrate()
        assert store.is_empty()
    finally:
        os.umask(umask)
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in (tmp_path / "data").iterdir()}
    store.close()
    assert oct((tmp_path / "data").stat().st_mode & 0o777) == "0o700"
    assert modes == {"catalog.db": "0o600", "catalog.db-wal": "0o600", "catalog.db-shm": "0o600"}
