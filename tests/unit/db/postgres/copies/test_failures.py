"""A copy that cannot be made says why, and leaves nothing behind: neither a file nor a row."""

import threading
from pathlib import Path

import psycopg
import pytest

from db.postgres.copies.copy_in import copy_in
from db.postgres.copies.copy_out import copy_out
from db.postgres.copies.moment import Addresses
from db.postgres.copies.tables import TABLES
from db.sqlite.backup import CopyFailed
from db.sqlite.snapshots import FILES, Unreadable
from db.sqlite.staging import InTheWay
from tests.support.backups import all_rows, no_progress
from tests.support.books import query
from tests.support.forgery import forge, forge_schema
from tests.support.postgres import TestServer
from tests.support.waiting import wait_until
from tests.unit.db.postgres.copies.conftest import make_store

UNREACHABLE = "postgresql://owner:hunter2@127.0.0.1:1/toys?connect_timeout=1"


class CutAt:
    """Ends all other connections to the databases of a server when a step of a copy begins."""

    def __init__(self, server: TestServer, step: str) -> None:
        self._server = server
        self._step = step
        self.has_cut = False

    def __call__(self, step: str) -> None:
        if step.startswith(self._step) and not self.has_cut:
            self.has_cut = True
            self._server.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND datname LIKE 'test_%'"
            )


class InterruptAt:
    """Presses Ctrl-C when a step of a copy begins."""

    def __init__(self, step: str) -> None:
        self._step = step

    def __call__(self, step: str) -> None:
        if step.startswith(self._step):
            raise KeyboardInterrupt


def rows_on_postgres(addresses: Addresses) -> int:
    """Returns the number of rows in all tables of both schemas, but for the ids of the store."""
    rows = 0
    for table in TABLES:
        if table.name != "store":
            with psycopg.connect(addresses.of(table.file)) as connection:
                [(count,)] = connection.execute(f"SELECT count(*) FROM {table.full_name}".encode()).fetchall()
            rows += count
    return rows


@pytest.mark.parametrize("step", ["catalog.stock_ledger is written", "log.orders is compared"])
def test_a_connection_that_is_lost_on_the_way_in_leaves_no_row(
    source: Path, addresses: Addresses, postgres_server: TestServer, step: str
) -> None:
    cut = CutAt(postgres_server, step)
    with pytest.raises(CopyFailed, match=r"^postgresql://127.0.0.1:\d+/test_\d+: "):
        copy_in(source, addresses, cut)
    assert cut.has_cut
    assert rows_on_postgres(addresses) == 0
    copy_in(source, addresses, no_progress)  # the way is free


@pytest.mark.parametrize("step", ["catalog.stock_ledger is read", "log.orders is read"])
def test_a_connection_that_is_lost_on_the_way_out_leaves_no_file(
    copied: Addresses, postgres_server: TestServer, tmp_path: Path, step: str
) -> None:
    cut = CutAt(postgres_server, step)
    with pytest.raises(CopyFailed, match=r"^postgresql://127.0.0.1:\d+/test_\d+: "):
        copy_out(copied, tmp_path / "out", cut)
    assert cut.has_cut
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


@pytest.mark.parametrize("step", ["log.orders is read", "catalog.stock_ledger is written", "stock"])
def test_ctrl_c_on_the_way_out_leaves_no_file(copied: Addresses, tmp_path: Path, step: str) -> None:
    (tmp_path / "mount").mkdir()
    (tmp_path / "mount" / "lost+found").mkdir()
    for target in ("out", "mount"):
        with pytest.raises(KeyboardInterrupt):
            copy_out(copied, tmp_path / target, InterruptAt(step))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mount", "source"]
    assert [path.name for path in (tmp_path / "mount").iterdir()] == ["lost+found"]


@pytest.mark.parametrize("step", ["catalog.stock_ledger is written", "log.return_intents is compared"])
def test_ctrl_c_on_the_way_in_leaves_no_row(source: Path, addresses: Addresses, step: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        copy_in(source, addresses, InterruptAt(step))
    assert rows_on_postgres(addresses) == 0
    copy_in(source, addresses, no_progress)


def test_schemas_with_rows_are_not_overwritten(source: Path, copied: Addresses) -> None:
    before = rows_on_postgres(copied)
    with pytest.raises(InTheWay, match=r"catalog\.products has rows already, and nothing is overwritten.*DROP SCHEMA"):
        copy_in(source, copied, no_progress)
    assert rows_on_postgres(copied) == before


def test_a_log_with_rows_refuses_the_catalog_too(source: Path, addresses: Addresses, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        copy_in(source, addresses, InterruptAt("catalog.store"))  # makes the schemas
    with psycopg.connect(addresses.log) as log:
        log.execute("INSERT INTO log.intents (key, product, quantity) VALUES ('k', 'Tux', 1)")
    with pytest.raises(InTheWay, match=r"log\.intents has rows already"):
        copy_in(source, addresses, no_progress)
    assert rows_on_postgres(addresses) == 1


def test_a_folder_with_one_of_the_files_is_not_overwritten(copied: Addresses, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "order.db-wal").write_bytes(b"precious")
    with pytest.raises(InTheWay, match=r"order\.db-wal is there already; name a new folder"):
        copy_out(copied, tmp_path / "out", no_progress)
    assert [path.read_bytes() for path in (tmp_path / "out").iterdir()] == [b"precious"]


def test_a_folder_without_the_files_is_no_copy(one_database: Addresses, tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match=r"is no copy of a store: it has no catalog\.db$"):
        copy_in(tmp_path, one_database, no_progress)
    assert list(tmp_path.iterdir()) == []


def test_the_files_of_two_stores_are_no_copy(source: Path, one_database: Addresses, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    make_store(tmp_path / "other")
    (tmp_path / "other" / "order.db").replace(source / "order.db")
    with pytest.raises(Unreadable, match=r"order\.db is of store [0-9a-f]{32}, .*: these are no copy of one store$"):
        copy_in(source, one_database, no_progress)


def test_a_file_of_another_program_is_no_copy(source: Path, one_database: Addresses) -> None:
    forge_schema(source / "catalog.db", "PRAGMA application_id = 7")
    with pytest.raises(Unreadable, match=r"is not the catalog\.db of this store"):
        copy_in(source, one_database, no_progress)


def test_files_of_another_release_are_named(source: Path, one_database: Addresses) -> None:
    newest = FILES[1].newest
    forge_schema(source / "order.db", f"PRAGMA user_version = {newest + 1}")
    with pytest.raises(Unreadable, match=rf"has schema {newest + 1}, newer than this code's {newest}"):
        copy_in(source, one_database, no_progress)
    forge_schema(source / "order.db", f"PRAGMA user_version = {newest - 1}")
    with pytest.raises(Unreadable, match=r"older than this code's \d+; python -m admin restore --into"):
        copy_in(source, one_database, no_progress)


def test_the_files_are_read_and_not_changed(source: Path, one_database: Addresses) -> None:
    before = all_rows(source)
    copy_in(source, one_database, no_progress)
    assert all_rows(source) == before
    assert query(source / "order.db", "PRAGMA integrity_check") == [("ok",)]


def test_a_discrepancy_of_the_files_is_told_and_copied(source: Path, one_database: Addresses, tmp_path: Path) -> None:
    forge(source / "order.db", "UPDATE orders SET quantity = 9 WHERE number = 1")
    told = copy_in(source, one_database, no_progress)
    assert not told.is_clean
    assert copy_out(one_database, tmp_path / "out", no_progress).discrepancies == told.discrepancies


def test_a_row_that_postgres_refuses_is_told(source: Path, one_database: Addresses) -> None:
    forge(source / "catalog.db", "UPDATE products SET quantity = -1 WHERE name = 'Tux'")
    with pytest.raises(CopyFailed, match='violates check constraint "products_quantity_check"'):
        copy_in(source, one_database, no_progress)
    assert rows_on_postgres(one_database) == 0


def test_a_database_without_the_schemas_has_nothing_to_copy(one_database: Addresses, tmp_path: Path) -> None:
    with pytest.raises(CopyFailed, match=r"the schema catalog is not there.*; start the store on it once$"):
        copy_out(one_database, tmp_path / "out", no_progress)
    assert list(tmp_path.iterdir()) == []


def test_a_schema_of_a_newer_release_is_named(copied: Addresses, tmp_path: Path) -> None:
    with psycopg.connect(copied.log) as log:
        log.execute("INSERT INTO log.migrations (version, name, checksum) VALUES (99, '0099_later', '')")
    with pytest.raises(
        CopyFailed, match=r"the schema log has version (\d+), newer than this code's \d+; use the newer"
    ):
        copy_out(copied, tmp_path / "out", no_progress)


def test_no_connection_is_told_without_the_password(source: Path, tmp_path: Path) -> None:
    nowhere = Addresses(UNREACHABLE, UNREACHABLE)
    with pytest.raises(CopyFailed, match=r"^postgresql://127\.0\.0\.1:1/toys: ") as out:
        copy_out(nowhere, tmp_path / "out", no_progress)
    with pytest.raises(Exception, match=r"^postgresql://127\.0\.0\.1:1/toys") as back:
        copy_in(source, nowhere, no_progress)
    assert "hunter2" not in f"{out.value}{back.value}"


def test_a_buy_in_doubt_stays_in_doubt(copied: Addresses) -> None:
    with psycopg.connect(copied.log) as log:
        assert log.execute("SELECT key, product, quantity FROM log.intents").fetchall() == [("in-doubt", "Tux", 1)]


def test_a_commit_with_a_warning_is_not_taken_for_a_copy(
    source: Path, addresses: Addresses, postgres_server: TestServer
) -> None:
    """Such as that the server has not waited for its standby."""

    def cancel_the_wait() -> None:
        wait_until(
            "COMMIT waits for a standby",
            lambda: bool(
                postgres_server.execute(
                    "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
                )
            ),
        )

    with pytest.raises(KeyboardInterrupt):
        copy_in(source, addresses, InterruptAt("catalog.store"))  # makes the schemas
    with postgres_server.settings(synchronous_standby_names="missing"):
        canceller = threading.Thread(target=cancel_the_wait)
        canceller.start()
        with pytest.raises(CopyFailed, match="COMMIT brought a warning"):
            copy_in(source, addresses, no_progress)
        canceller.join()
