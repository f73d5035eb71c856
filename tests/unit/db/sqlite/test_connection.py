"""A connection is durable: it syncs, checkpoints what a killed process left, and uses WAL mode or fails."""

import errno
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import apsw
import pytest

from db.sqlite.catalog import CatalogStore
from db.sqlite.connection import WAL_LIMIT_BYTES, connect, sync
from db.sqlite.database import Database
from db.sqlite.errors import NoSharedMemory
from db.sqlite.staging import create_private
from domain.errors import Unavailable
from domain.values import Buy
from tests.support.books import query
from tests.support.tiers import ROOT


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that the store itself syncs; SQLite's own syncs are not among them."""
    paths: list[str] = []
    monkeypatch.setattr(
        "db.sqlite.connection.os.fsync", lambda descriptor: paths.append(os.readlink(f"/proc/self/fd/{descriptor}"))
    )
    return paths


def test_a_connection_is_fully_durable(database: Database) -> None:
    with database.read() as connection:
        assert connection.pragma("journal_mode") == "wal"
        assert connection.pragma("synchronous") == 2, "FULL"
        assert connection.pragma("foreign_keys") == 1


def test_the_wal_of_a_killed_process_is_checkpointed_before_it_is_read(tmp_path: Path, synced: list[str]) -> None:
    killed = """
import os, sys
from pathlib import Path
from db.sqlite.database import Database
from db.sqlite.staging import create_private
create_private(Path(sys.argv[1]))
with Database(Path(sys.argv[1])).write() as transaction:
    transaction.execute("CREATE TABLE t (x); INSERT INTO t VALUES (1)").fetchall()
os._exit(0)
"""
    path = tmp_path / "t.db"
    subprocess.run([sys.executable, "-c", killed, path], cwd=ROOT, check=True)
    wal = path.with_name("t.db-wal")
    assert wal.stat().st_size > 0
    database = Database(path)
    with database.read():
        assert wal.stat().st_size == 0, "no old page of it can hide a newer one after a power loss"
        assert synced[-2:] == [str(wal), str(tmp_path)]
        # By another program: POSIX drops SQLite's locks on a file when this process opens and closes it.
        subprocess.run(["cp", path, tmp_path / "alone.db"], check=True)
    database.close()
    assert query(tmp_path / "alone.db", "SELECT x FROM t") == [(1,)]


def test_the_wal_beside_the_target_of_a_link_is_synced(tmp_path: Path, synced: list[str]) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "t.db").symlink_to(tmp_path / "disk" / "t.db")
    create_private(tmp_path / "disk" / "t.db")
    connect(tmp_path / "t.db").close()
    assert synced == [str(tmp_path / "disk" / "t.db-wal"), str(tmp_path / "disk")]


def test_a_waiting_checkpoint_does_not_block_a_new_connection(database: Database, synced: list[str]) -> None:
    reader, writer = connect(database.path), connect(database.path)
    reader.execute("BEGIN; SELECT x FROM t").fetchall()
    writer.execute("INSERT INTO t VALUES (2)").fetchall()
    writer.set_busy_timeout(10_000)
    checkpoint = threading.Thread(target=writer.wal_checkpoint, kwargs={"mode": apsw.SQLITE_CHECKPOINT_RESTART})
    checkpoint.start()
    time.sleep(0.2)
    synced.clear()
    late = connect(database.path)
    assert late.execute("SELECT count(*) FROM t").get == 1
    assert checkpoint.is_alive(), "it still waits for the reader"
    assert f"{database.path}-wal" in synced, "the WAL was synced although it could not be emptied"
    reader.execute("COMMIT").fetchall()
    checkpoint.join()
    for connection in (reader, writer, late):
        connection.close()


def test_a_database_without_room_for_a_checkpoint_can_be_read(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(apsw.Connection):
        def wal_checkpoint(self, *_: Any, **__: Any) -> Any:
            raise apsw.FullError

    database.close()
    monkeypatch.setattr(apsw, "Connection", Full)
    with database.read() as connection:
        assert connection.execute("SELECT count(*) FROM t").get == 0


def test_a_wal_that_cannot_be_synced_fails_the_connection(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError("Input/output error")

    database.close()
    monkeypatch.setattr("db.sqlite.connection.os.fsync", fail)
    with pytest.raises(apsw.IOError, match="Input/output error"):
        connect(database.path)
    with pytest.raises(Unavailable), database.read():
        pass


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES])
def test_a_folder_that_cannot_be_synced_is_skipped_and_a_file_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    (tmp_path / "file").touch()
    monkeypatch.setattr("db.sqlite.connection.os.fsync", fail)
    sync(tmp_path)
    with pytest.raises(OSError):
        sync(tmp_path / "file")


def test_a_folder_on_a_failing_disk_is_not_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("db.sqlite.connection.os.fsync", fail)
    with pytest.raises(OSError):
        sync(tmp_path)


def test_a_failed_switch_to_wal_means_no_shared_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite keeps the old mode on a file system, or a VFS, that it knows to have no shared memory."""

    class WithoutWal(apsw.Connection):
        def execute(self, statements: str, *arguments: object, **options: object) -> apsw.Cursor:
            statements = statements.replace("journal_mode = WAL", "journal_mode = DELETE")
            return super().execute(statements, *arguments, **options)  # type: ignore[arg-type]

    (tmp_path / "t.db").touch()
    monkeypatch.setattr(apsw, "Connection", WithoutWal)
    with pytest.raises(NoSharedMemory, match="delete"):
        connect(tmp_path / "t.db")


def test_the_wal_shrinks_after_a_long_reader(catalog: CatalogStore, tmp_path: Path) -> None:
    wal = tmp_path / "catalog.db-wal"
    catalog.sell([Buy("first", "Tux", 1)])
    reader = apsw.Connection(str(tmp_path / "catalog.db"))
    reader.execute("BEGIN; SELECT count(*) FROM products").fetchall()
    for number in range(800):
        catalog.sell([Buy(f"{number}-{'x' * 100}", "Unicorn", 1)])
    assert wal.stat().st_size > 1.5 * WAL_LIMIT_BYTES
    reader.execute("COMMIT").fetchall()
    reader.close()
    for number in range(3):
        catalog.sell([Buy(f"again-{number}", "Tux", 1)])
    assert wal.stat().st_size <= WAL_LIMIT_BYTES
